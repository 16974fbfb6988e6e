"""References in C: a file beside the benchmark is built and answers, line by line, how long something took."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which

Ask = Callable[[str], float]
"""Sends a line, and returns the seconds that the answer, a number of nanoseconds, says."""


@contextlib.contextmanager
def reference(source: Path, *arguments: object) -> Iterator[tuple[Ask | None, str]]:
    """Build a C file and run it; yield what asks it, or None and what is missing for that."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, source.stem)
        missing = _compiled(source, program)
        if missing:
            yield None, missing
            return
        command = [str(program), *map(str, arguments)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

            def ask(line: str) -> float:
                assert process.stdin and process.stdout
                print(line, file=process.stdin, flush=True)
                return int(process.stdout.readline()) / 1e9

            yield ask, ""
            assert process.stdin
            process.stdin.close()


def _compiled(source: Path, program: Path) -> str:
    compiler = which("cc")
    if compiler is None:
        return "there is no C compiler cc"
    built = subprocess.run(
        [compiler, "-O2", "-o", program, source, "-lbpf"], capture_output=True, text=True, check=False
    )
    return "" if built.returncode == 0 else (built.stderr.strip().splitlines() or ["cc failed"])[0]
