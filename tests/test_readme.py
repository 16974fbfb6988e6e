"""Runs the README: its Python blocks in order, in the folder it names, and its commands' targets."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bpfmodel.engine import Engine

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
# The library under test, installed or not.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.kernel
def test_every_python_block_runs(kernel: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "samples" / "quickstart")
    text = README.read_text()
    blocks = list(BLOCK.finditer(text))
    assert len(blocks) >= 8
    namespace: dict[str, object] = {"__name__": "readme"}
    for block in blocks:
        line = text[: block.start(1)].count("\n")
        # Line numbers of a failure are those of the README.
        exec(compile("\n" * line + block[1], str(README), "exec", dont_inherit=True), namespace)


def test_the_commands_it_names_are_targets_of_the_makefile() -> None:
    named = set(re.findall(r"(?:^|`)make (\w+)", README.read_text(), re.MULTILINE))
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test", "bench"} <= named
    assert named <= targets


@pytest.mark.kernel
def test_the_quickstart_runs_on_the_kernel(kernel: Engine) -> None:
    sample = ROOT / "samples" / "quickstart" / "quickstart.py"
    done = subprocess.run([sys.executable, sample], capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    assert "pkt_count    3000" in done.stdout
    assert "pkt_count    5000" in done.stdout
    assert "flow from    127.0.0.1: Stats(packets=5," in done.stdout


def test_the_quickstart_says_what_is_missing_and_goes_on_in_memory() -> None:
    sample = ROOT / "samples" / "quickstart" / "quickstart.py"
    # A libbpf that cannot be found is what most machines without BPF have.
    code = (
        "import ctypes, runpy, sys\n"
        "real = ctypes.CDLL\n"
        "def without(name, *a, **k):\n"
        "    if name == 'libbpf.so.1': raise OSError('libbpf.so.1: cannot open shared object file')\n"
        "    return real(name, *a, **k)\n"
        "ctypes.CDLL = without\n"
        f"runpy.run_path({str(sample)!r}, run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("load: into memory")]
    assert "libbpf" in line
    assert "install" in line
    assert "pkt_count    1000" in done.stdout
