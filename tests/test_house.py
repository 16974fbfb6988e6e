"""The rules of the house, DESIGN.md section 3: floors, fences, sizes, and what an import of the package may cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import bpfmodel

PACKAGE = Path(bpfmodel.__file__).parent
FLOORS = {
    "errors": 1, "btf": 2, "types": 3, "spec": 4, "engine": 5, "handles": 6, "model": 7, "tools": 8, "pytest_plugin": 8,
    "": 9,
}  # fmt: skip
"""The floor of each folder and top-level module; "" is the package's own `__init__`, above them all."""
LIMIT = 500


def modules() -> dict[str, Path]:
    """Every module by its name inside the package: ``engine.libbpf``, and ``""`` for the package itself."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text(), MODULES[name])


def floor(name: str) -> int:
    return FLOORS[name.partition(".")[0]]


def package_of(name: str) -> str:
    return name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]


def imported(name: str) -> Iterator[tuple[int, str]]:
    """Every import of a module with its line, wherever it stands: absolute names, those of the package with a leading dot."""
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                own = alias.name == "bpfmodel" or alias.name.startswith("bpfmodel.")
                yield node.lineno, "." + alias.name[9:] if own else alias.name
        elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] != "bpfmodel":
            yield node.lineno, node.module or ""
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, "." + target) for target in own_targets(name, node))
        elif isinstance(node, ast.Call) and called(node) in ("import_module", "__import__"):
            yield node.lineno, "(dynamic)"


def own_targets(name: str, node: ast.ImportFrom) -> Iterator[str]:
    """The modules of the package that a from-import reaches."""
    if node.level:
        parts = package_of(name).split(".") if package_of(name) else []
        assert node.level - 1 <= len(parts), f"{name}: an import beyond the package"
        base = parts[: len(parts) - (node.level - 1)] + (node.module.split(".") if node.module else [])
    else:
        base = (node.module or "").split(".")[1:]
    for alias in node.names:
        inner = ".".join([*base, alias.name])
        yield inner if inner in MODULES else ".".join(base)


def called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def edges(name: str) -> set[str]:
    """The modules of the package that a module imports, without the folder's ``__init__`` it lies in."""
    found = set()
    for _, target in imported(name):
        if target.startswith("."):
            module = target[1:]
            assert module in MODULES, f"{name} imports {module}, which is no module"
            found.add(module)
    return found - {name}


def importers(*wanted: str) -> set[str]:
    return {name for name in MODULES for _, target in imported(name) if target.partition(".")[0] in wanted}


def test_the_house_has_its_floors() -> None:
    folders = {name.partition(".")[0] for name in MODULES}
    assert folders <= FLOORS.keys(), "a folder or module that DESIGN.md does not know"
    assert {"errors", "btf", "types", "spec", "engine", "handles", "model"} <= folders
    assert all(path.parent.name in (PACKAGE.name, *FLOORS) for path in MODULES.values()), "folders do not nest"


def test_the_reading_of_imports_sees_everything() -> None:
    seen = {target for name in MODULES for _, target in imported(name)}
    assert {".errors", ".btf.kinds", ".engine.base", ".spec.collection", "ctypes", "pydantic"} <= seen
    assert "spec.reader" in edges("spec.collection"), "an import inside a function"
    assert "spec.collection" in edges("engine.base"), "an import under TYPE_CHECKING"


@pytest.mark.parametrize("name", MODULES, ids=lambda name: name or "bpfmodel")
def test_imports_go_down(name: str) -> None:
    up = [
        f"{MODULES[name]}:{line} imports {target[1:] or 'the package itself'}"
        for line, target in imported(name)
        if target.startswith(".")
        and floor(target[1:]) >= floor(name)
        and (target[1:].partition(".")[0] != name.partition(".")[0] or not name)
    ]
    assert up == []


@pytest.mark.parametrize("folder", sorted(FLOORS.keys() - {"", "errors", "pytest_plugin"}))
def test_inside_a_folder_the_arrows_run_one_way(folder: str) -> None:
    inside = {name for name in MODULES if name.partition(".")[0] == folder}
    check_acyclic({name: edges(name) & inside for name in inside})


def test_the_whole_is_acyclic() -> None:
    check_acyclic({name: edges(name) for name in MODULES})


def check_acyclic(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail("a circle of imports: " + " imports ".join(reversed(error.args[1])))


def test_a_circle_would_be_seen() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"a imports b imports a|b imports a imports b"):
        check_acyclic({"a": {"b"}, "b": {"a"}})


def test_only_elf_imports_elftools() -> None:
    assert importers("elftools") == {"spec.elf"}


def test_only_the_engine_imports_ctypes_and_mmap() -> None:
    assert {name.partition(".")[0] for name in importers("ctypes", "_ctypes", "cffi")} == {"engine"}
    assert {name.partition(".")[0] for name in importers("mmap")} == {"engine"}


def test_only_libbpf_names_libbpf_so() -> None:
    naming = {
        name
        for name in MODULES
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("libbpf.so")
    }
    assert naming == {"engine.libbpf"}


def test_dynamic_imports_are_those_of_the_public_names() -> None:
    assert importers("(dynamic)") <= {"", "tools.cli"}


@pytest.mark.parametrize("name", MODULES, ids=lambda name: name or "bpfmodel")
def test_no_module_outgrows_its_room(name: str) -> None:
    assert len(MODULES[name].read_text().splitlines()) <= LIMIT


@pytest.mark.parametrize("name", [name for name in MODULES if floor(name) != 8], ids=lambda name: name or "bpfmodel")
def test_a_library_neither_prints_nor_exits(name: str) -> None:
    bad = [
        f"{MODULES[name]}:{node.lineno} calls {called(node)}"
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Call)
        and (
            (isinstance(node.func, ast.Name) and node.func.id in ("print", "exit", "quit", "input", "breakpoint"))
            or ast.unparse(node.func) in ("sys.exit", "os._exit", "sys.stdout.write", "sys.stderr.write")
        )
    ]
    assert bad == []


@pytest.mark.parametrize("name", MODULES, ids=lambda name: name or "bpfmodel")
def test_no_bare_exceptions_are_raised(name: str) -> None:
    bad = [
        f"{MODULES[name]}:{node.lineno}"
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Raise) and node.exc is not None
        and ast.unparse(node.exc).partition("(")[0] in ("Exception", "BaseException", "RuntimeError")
    ]  # fmt: skip
    assert bad == []


@pytest.mark.parametrize("name", MODULES, ids=lambda name: name or "bpfmodel")
def test_every_module_says_what_it_is_for(name: str) -> None:
    assert ast.get_docstring(tree(name))


def test_a_folders_init_is_short_and_holds_no_code() -> None:
    for name, path in MODULES.items():
        if path.name == "__init__.py" and name:
            kinds = {type(node) for node in tree(name).body[1:]}
            assert kinds <= {ast.Import, ast.ImportFrom, ast.Assign}, f"{path} holds code"


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); {code}"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


HEAVY = ("pydantic", "pydantic_core", "elftools", "ctypes", "numpy", "mmap", "asyncio", "importlib.resources")


def test_importing_the_package_is_light() -> None:
    assert run(f"import bpfmodel; print([name for name in {HEAVY} if name in sys.modules])").strip() == "[]"


def test_declaring_a_class_is_light() -> None:
    code = (
        "from bpfmodel import BpfObjects, HashMap, Struct, Var, u32;"
        "exec('class S(Struct):\\n a: u32\\nclass O(BpfObjects):\\n a: Var[u32]\\n b: HashMap[u32, S]');"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    assert run(code).strip() == "[]"


def test_reading_and_the_memory_engine_need_nothing_of_linux() -> None:
    path = Path(__file__).parent / "testdata" / "scalars.bpf.o"
    code = (
        "from bpfmodel import BpfObjects, MemoryEngine, Var, u32; exec('class O(BpfObjects):\\n u32_var: Var[u32]');"
        f"objs = O.load_and_assign({str(path)!r}, engine=MemoryEngine()); print(objs.u32_var.get(),"
        "[name for name in ('ctypes', 'mmap', 'fcntl', 'bpfmodel.engine.libbpf', 'bpfmodel.engine.kernel', 'pydantic')"
        " if name in sys.modules])"
    )
    assert run(code).strip() == "3735928559 []"


@pytest.mark.parametrize("name", [name for name in MODULES if name and floor(name) != 8])
def test_every_module_can_be_imported_first(name: str) -> None:
    # A circle that the order of imports hides would show here.
    assert run(f"import bpfmodel.{name}") == ""
