"""The committed objects hold what their sources say: each is built again, and what it declares is compared.

Bytes are not compared: another compiler may lay code out differently.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.data import TESTDATA, testdata

from bpfmodel import CollectionSpec, VariableSpec
from bpfmodel.btf import kinds
from bpfmodel.btf.compare import reachable
from bpfmodel.btf.layout import size_of
from bpfmodel.btf.render import describe

NAMES = sorted(path.name.removesuffix(".bpf.c") for path in TESTDATA.glob("*.bpf.c"))


@cache
def clang() -> str:
    """The compiler that the Makefile names, or the newest other one."""
    found = [name for name in ("clang", *(f"clang-{version}" for version in range(30, 13, -1))) if shutil.which(name)]
    return found[0] if found else ""


@cache
def clang_enum64() -> str:
    """A compiler of version 15 or newer, which is the first to know 8-byte enums in BTF."""
    for name in ("clang-19", *(f"clang-{version}" for version in range(30, 14, -1)), "clang"):
        path = shutil.which(name)
        if path:
            version = re.search(
                r"version (\d+)", subprocess.run([path, "--version"], capture_output=True, text=True).stdout
            )
            if version and int(version[1]) >= 15:
                return name
    return ""


def missing(name: str) -> str:
    """Say what is not installed that building an object takes."""
    if not shutil.which("make"):
        return "make is not installed"
    if not clang():
        return "no clang is installed"
    if name == "enum64" and not clang_enum64():
        return "no clang of version 15 or newer is installed"
    if not shutil.which("llvm-strip"):
        return "llvm-strip is not installed"
    if name == "linked" and not shutil.which("bpftool"):
        return "bpftool is not installed"
    if not Path("/usr/include/bpf/bpf_helpers.h").exists():
        return "the headers of libbpf are not installed"
    return ""


def rebuild(name: str, where: Path) -> CollectionSpec:
    """Build one object by the Makefile's own rule, in a directory of its own."""
    if missing(name):
        pytest.skip(f"cannot build {name}.bpf.o: {missing(name)}")
    for path in [*TESTDATA.glob("*.bpf.c"), TESTDATA / "Makefile"]:
        shutil.copy(path, where)
    command = [
        "make",
        "-C",
        str(where),
        f"CLANG={clang()}",
        f"CLANG_ENUM64={clang_enum64() or 'clang'}",
        f"{name}.bpf.o",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return CollectionSpec.from_file(where / f"{name}.bpf.o")


def shape(type: kinds.Type | None) -> Any:
    """A type as C writes it, with the members of structs and the values of enums in it."""
    if type is None:
        return None
    bare = kinds.strip(type)
    inside: Any = None
    if isinstance(bare, kinds.Composite):
        inside = [(item.name, item.offset, item.bits, shape(item.type)) for item in reachable(bare)]
    elif isinstance(bare, kinds.Enum):
        # Compilers before clang 15 do not say that an enum is signed.
        inside = sorted((name, value & (1 << bare.size * 8) - 1) for name, value in bare.enumerators)
    elif isinstance(bare, kinds.Array):
        inside = shape(bare.element)
    return describe(type), inside


def contents(spec: VariableSpec) -> tuple[int, bytes]:
    """Size and initial bytes; a flexible array is as long as its elements, to which newer compilers add padding."""
    if spec.type is not None and size_of(spec.type) < spec.size:
        value = spec.value.rstrip(b"\0")
        return len(value), value
    return spec.size, spec.value


def declared(spec: CollectionSpec) -> dict[str, dict[str, Any]]:
    """All that a user of the object could tell from it."""
    return {
        "variables": {
            name: (item.section, *contents(item), shape(item.type), item.constant)
            for name, item in spec.variables.items()
        },
        "maps": {
            name: (
                item.type, item.key_size, item.value_size, item.max_entries, item.flags, item.extra, item.pinning,
                shape(item.key), shape(item.value), item.values, item.inner is None,
            )
            for name, item in spec.maps.items()
            if not item.is_data
        },
        "programs": {
            name: (item.section, item.type, item.attach_type, item.attach_to, item.sleepable, item.autoload, item.license)
            for name, item in spec.programs.items()
        },
        "file": {"byte order": spec.byte_order, "BTF": spec.has_btf, "license": spec.license},
    }  # fmt: skip


@pytest.mark.parametrize("name", [*NAMES, "linked"])
def test_the_committed_object_is_what_its_source_says(name: str, tmp_path: Path) -> None:
    rebuilt, committed = declared(rebuild(name, tmp_path)), declared(CollectionSpec.from_file(testdata(name)))
    for role, expected in committed.items():
        assert rebuilt[role].keys() == expected.keys()
        for item, told in expected.items():
            assert rebuilt[role][item] == told, f"{role}: {item}"
    assert committed["variables"] or committed["maps"] or committed["programs"]


def test_every_object_has_its_source() -> None:
    objects = {path.name.removesuffix(".bpf.o") for path in TESTDATA.glob("*.bpf.o")}
    assert objects == {*NAMES, "linked"}


def test_the_comparison_sees_a_difference(tmp_path: Path) -> None:
    if missing("zero"):
        pytest.skip(f"cannot build: {missing('zero')}")
    changed = tmp_path / "changed"
    changed.mkdir()
    source = (TESTDATA / "zero.bpf.c").read_text()
    assert "__u64 normal;" in source
    rebuild("zero", changed)
    (changed / "zero.bpf.c").write_text(source.replace("__u64 normal;", "__s64 normal;"))
    (changed / "zero.bpf.o").unlink()
    done = subprocess.run(
        ["make", "-C", str(changed), f"CLANG={clang()}", "zero.bpf.o"], capture_output=True, timeout=120
    )
    assert done.returncode == 0
    different = declared(CollectionSpec.from_file(changed / "zero.bpf.o"))
    committed = declared(CollectionSpec.from_file(testdata("zero")))
    assert {
        name for name in committed["variables"] if different["variables"][name] != committed["variables"][name]
    } == {"normal"}
