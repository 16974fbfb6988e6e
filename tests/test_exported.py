"""What the package exports: sorted, there, and documented; and the error tree as it is drawn."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import itertools
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bpfmodel
from bpfmodel import errors

ROOT = Path(__file__).parent.parent
PACKAGE = Path(bpfmodel.__file__).parent


def explained(path: Path) -> set[str]:
    """The names that a module assigns and explains with a text right behind."""
    body = ast.parse(path.read_text()).body
    found = set()
    for node, behind in itertools.pairwise(body):
        is_text = (
            isinstance(behind, ast.Expr)
            and isinstance(behind.value, ast.Constant)
            and isinstance(behind.value.value, str)
        )
        if is_text and isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


EXPLAINED = set().union(*(explained(path) for path in PACKAGE.rglob("*.py")))


def test_the_names_are_sorted_and_told_once() -> None:
    assert list(bpfmodel.__all__) == sorted(set(bpfmodel.__all__))


@pytest.mark.parametrize("name", bpfmodel.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    found = getattr(bpfmodel, name)
    if inspect.isclass(found) or inspect.isroutine(found) or inspect.ismodule(found):
        assert found.__doc__, f"{name} has no docstring"
        assert not found.__doc__.startswith(f"{name}("), f"{name} has the docstring that dataclass makes"
        if inspect.isclass(found):
            own = vars(found).get("__doc__")
            assert own, f"{name} only inherits its docstring"
    else:
        assert name in EXPLAINED, f"{name} has no text behind its assignment"


def test_a_star_import_gives_exactly_these_names() -> None:
    namespace: dict[str, Any] = {}
    exec("from bpfmodel import *", namespace)
    assert namespace.keys() - {"__builtins__"} == set(bpfmodel.__all__)


def test_nothing_public_is_left_out() -> None:
    source = ast.parse((PACKAGE / "__init__.py").read_text())
    imported = {
        alias.asname or alias.name
        for node in ast.walk(source)
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }
    assert imported == set(bpfmodel.__all__)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'bpfmodel' has no attribute 'Varr'"):
        bpfmodel.Varr  # noqa: B018
    assert not hasattr(bpfmodel, "pydantic")


def test_every_error_is_exported() -> None:
    classes = {
        name
        for name, found in vars(errors).items()
        if inspect.isclass(found) and issubclass(found, Warning | Exception)
    }
    assert classes <= set(bpfmodel.__all__)


def drawn() -> dict[str, tuple[str | None, str | None]]:
    """The error tree of the docstring: class -> (the class it hangs from, the builtin in parentheses)."""
    assert errors.__doc__ is not None
    found: dict[str, tuple[str | None, str | None]] = {}
    above: list[tuple[int, str]] = []
    for line in errors.__doc__.splitlines():
        match = re.match(r"^( {4}[ │├└─]*)([A-Z]\w+)(?: \((\w+)\))?(?=\s|$)", line)
        if match is None:
            continue
        depth = len(match[1])
        above = [item for item in above if item[0] < depth]
        found[match[2]] = (above[-1][1] if above else None, match[3])
        above.append((depth, match[2]))
    return found


DRAWN = drawn()


def test_the_drawing_has_every_error_and_no_other() -> None:
    classes = {
        name
        for name, found in vars(errors).items()
        if inspect.isclass(found) and issubclass(found, BaseException) and found.__module__ == errors.__name__
    }
    assert set(DRAWN) == classes
    assert len(classes) > 15


@pytest.mark.parametrize("name", DRAWN)
def test_an_error_hangs_where_it_is_drawn(name: str) -> None:
    cls = getattr(errors, name)
    parent, builtin = DRAWN[name]
    if parent is not None:
        assert getattr(errors, parent) in cls.__bases__
    if builtin is not None:
        assert getattr(builtins, builtin) in cls.__bases__
    ours = {base.__name__ for base in cls.__bases__ if base.__module__ == errors.__name__}
    assert ours == ({parent} if parent else set())


@pytest.mark.parametrize("name", [name for name in DRAWN if name not in ("BpfModelError", "FoldedConstantWarning")])
def test_an_error_is_also_a_builtin_one(name: str) -> None:
    cls = getattr(errors, name)
    assert issubclass(cls, errors.BpfModelError)
    builtin = [base for base in cls.__mro__ if base.__module__ == "builtins"]
    assert builtin[0] not in (Exception, BaseException, object), "no builtin error among its bases"


def public_modules() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if not any(part.startswith("_") for part in parts[:-1]):
            yield name


def undocumented(module: types.ModuleType) -> Iterator[str]:
    for name, found in vars(module).items():
        if name.startswith("_") or getattr(found, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(found) and not found.__doc__:
            yield f"{module.__name__}.{name}"
        elif inspect.isclass(found):
            if not found.__doc__:
                yield f"{module.__name__}.{name}"
            for member, value in vars(found).items():
                inner = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
                if member.startswith("_") or not inspect.isfunction(inner):
                    continue
                # What overrides a documented method has that one's docstring, which is what `inspect.getdoc` finds.
                if not inspect.getdoc(getattr(found, member)):
                    yield f"{module.__name__}.{name}.{member}"


@pytest.mark.parametrize("name", list(public_modules()))
def test_public_functions_and_methods_are_documented(name: str) -> None:
    assert list(undocumented(importlib.import_module(name))) == []


@pytest.mark.parametrize("name", [name for name in bpfmodel.__all__ if inspect.isclass(getattr(bpfmodel, name))])
def test_a_docstring_begins_with_a_sentence(name: str) -> None:
    first = (inspect.getdoc(getattr(bpfmodel, name)) or "").split("\n\n")[0]
    assert first.rstrip().endswith((".", "::", ":")), first


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert text.startswith("# Changelog\n")
    assert "keepachangelog.com" in text
    assert "semver.org" in text.lower() or "Semantic Versioning" in text
    versions = re.findall(r"^## (.*)$", text, re.M)
    assert versions
    form = r"\[?Unreleased\]?|\[?\d+\.\d+\.\d+\]? - \d{4}-\d\d-\d\d"
    assert [version for version in versions if not re.fullmatch(form, version)] == []
    kinds = set(re.findall(r"^### (.*)$", text, re.M))
    assert kinds
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert re.search(r"^- \S", text, re.M), "no entries"
