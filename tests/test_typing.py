"""What static checkers say: to `tests/typing/`, to the package itself, and to a user's code somewhere else."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bpfmodel

ROOT = Path(__file__).parent.parent
TYPING = ROOT / "tests" / "typing"
PACKAGE = Path(bpfmodel.__file__).parent
CHECKERS = ["mypy", "pyright"]

Errors = dict[Path, dict[int, list[str]]]
"""The messages of a checker by file and line."""

USER_CODE = """\
from __future__ import annotations

from bpfmodel import BpfObjects, Const, Var, u32, u64


class Objects(BpfObjects):
    pkt_count: Var[u64]
    limit: Const[u32]


def use(objs: Objects) -> int:
    objs.pkt_count.set("1")  # E: str for int
    objs.limit.set(1)  # E: no set
    return objs.pkt_count.get()
"""


def need(checker: str) -> None:
    if importlib.util.find_spec(checker) is not None:
        return
    if os.environ.get("BPFMODEL_REQUIRE_KERNEL") == "1":
        pytest.fail(f"{checker} is not installed, and in CI nothing is skipped")
    pytest.skip(f"{checker} is not installed")


def run_mypy(paths: list[Path], cwd: Path, cache: Path, python: str, *options: str) -> Errors:
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context", "--no-pretty"]
    command += [
        "--show-absolute-path",
        f"--cache-dir={cache}",
        f"--python-executable={python}",
        *options,
        *map(str, paths),
    ]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: Errors = {}
    for line in done.stdout.splitlines():
        match = re.fullmatch(r"(.+?):(\d+): (error|note): (.*)", line)
        assert match is not None, f"mypy said: {line}"
        if match[3] == "error":
            found.setdefault(Path(match[1]), {}).setdefault(int(match[2]), []).append(match[4])
    return found


def run_pyright(paths: list[Path], cwd: Path, cache: Path, python: str, *options: str) -> Errors:
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", python, *options, *map(str, paths)]
    env = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, env=env)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    assert report["summary"]["filesAnalyzed"] > 0
    found: Errors = {}
    for item in report["generalDiagnostics"]:
        if item["severity"] == "error":
            line = item["range"]["start"]["line"] + 1
            found.setdefault(Path(item["file"]), {}).setdefault(line, []).append(item["message"])
    return found


RUN: dict[str, Callable[..., Errors]] = {"mypy": run_mypy, "pyright": run_pyright}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Errors]:
    """What a checker says of the package and of `tests/typing/`; each is started once."""
    known: dict[str, Errors] = {}

    def ask(checker: str) -> Errors:
        need(checker)
        if checker not in known:
            known[checker] = RUN[checker]([PACKAGE, TYPING], ROOT, tmp_path_factory.mktemp("cache"), sys.executable)
        return known[checker]

    return ask


def marked(source: str) -> set[int]:
    return {number for number, line in enumerate(source.splitlines(), 1) if re.search(r"  # E: \S", line)}


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_package_is_clean(checker: str, answers: Callable[[str], Errors]) -> None:
    found = [
        f"{path}:{line}: {' '.join(messages)}"
        for path, lines in answers(checker).items()
        if path.is_relative_to(PACKAGE)
        for line, messages in lines.items()
    ]
    assert found == []


@pytest.mark.parametrize("checker", CHECKERS)
def test_what_must_be_accepted_is(checker: str, answers: Callable[[str], Errors]) -> None:
    assert answers(checker).get(TYPING / "ok.py", {}) == {}


@pytest.mark.parametrize("checker", CHECKERS)
def test_exactly_the_marked_lines_are_refused(checker: str, answers: Callable[[str], Errors]) -> None:
    source = (TYPING / "refused.py").read_text()
    lines, found, wanted = source.splitlines(), answers(checker).get(TYPING / "refused.py", {}), marked(source)
    assert len(wanted) > 50
    accepted = [f"{number}: {lines[number - 1].strip()}" for number in sorted(wanted - found.keys())]
    assert accepted == [], "marked lines that the checker accepts"
    refused = [f"{number}: {found[number]}" for number in sorted(found.keys() - wanted)]
    assert refused == [], "errors in lines without a mark"


def test_every_file_is_looked_at() -> None:
    assert sorted(path.name for path in TYPING.glob("*.py")) == ["ok.py", "refused.py"]


def test_python_itself_understands_what_checkers_accept() -> None:
    names = runpy.run_path(str(TYPING / "ok.py"))
    assert names["Objects"].constants_model().model_fields.keys() == {"ro_variable", "wide", "part__limit"}
    names["structs"].__globals__.update(names)
    assert names["Rich"].__bpf_type__().align == 8
    names["structs"]()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's directory, and beside it an environment that the package is installed in."""
    base = tmp_path_factory.mktemp("elsewhere")
    venv.create(base / "env", with_pip=False)
    (site,) = (base / "env").glob("lib/python*/site-packages")
    shutil.copytree(PACKAGE, site / "bpfmodel", ignore=shutil.ignore_patterns("__pycache__"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (base / "project").mkdir()
    (base / "project" / "user.py").write_text(USER_CODE)
    return base


@pytest.mark.parametrize("checker", CHECKERS)
def test_code_in_another_directory_sees_the_types(checker: str, elsewhere: Path, tmp_path: Path) -> None:
    need(checker)
    options = ["--config-file="] if checker == "mypy" else []
    project = elsewhere / "project"
    found = RUN[checker]([project / "user.py"], project, tmp_path, str(elsewhere / "env" / "bin" / "python"), *options)
    assert {path.name: set(lines) for path, lines in found.items()} == {"user.py": marked(USER_CODE)}


def test_the_package_is_marked_as_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
