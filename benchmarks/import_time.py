"""Claim: `import bpfmodel` takes at most 0.6 times `import pydantic`, which is what a user of pydantic pays anyway.

Each import is timed from inside a fresh interpreter, the two in turns, all modules compiled and in the page cache; the ratio
is that of the medians. The time until a first class stands is printed beside it, for information.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from _ratio import compare, show

TARGET = 0.6
ROUNDS = 41

OURS = "import bpfmodel"
THEIRS = "import pydantic"
FIRST_CLASS = """
from typing import Literal
from bpfmodel import BpfObjects, Const, CString, HashMap, Program, Struct, Var, u32, u64

class Stats(Struct):
    packets: u64
    bytes: u64

class Objects(BpfObjects):
    pkt_count: Var[u64]
    ro_variable: Const[u32]
    var_msg: Var[CString[Literal[13]]]
    flows: HashMap[u32, Stats]
    count_packets: Program
"""
FIRST_MODEL = """
from pydantic import BaseModel

class Stats(BaseModel):
    packets: int
    bytes: int
"""


def main() -> None:
    statements = (OURS, THEIRS, FIRST_CLASS, FIRST_MODEL)
    for statement in statements:
        seconds(statement)  # compiles what is not compiled yet
    taken = [[seconds(statement) for statement in statements] for _ in range(ROUNDS)]
    ours, theirs, first_class, first_model = (statistics.median(times) for times in zip(*taken, strict=True))
    compare(OURS, ours, THEIRS, theirs, TARGET)
    print(
        f"  for information: {show(first_class)} until a first class of five fields and a Struct stands, "
        f"{show(first_model)} until a first pydantic model does"
    )


def seconds(statement: str) -> float:
    """Run a statement in a fresh interpreter, and return how long it took in there."""
    code = f"import time\nstart = time.perf_counter()\n{statement}\nprint(time.perf_counter() - start)"
    # -P: what lies in the working directory is not imported by accident.
    run = subprocess.run(
        [sys.executable, "-P", "-c", code], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, check=True
    )
    return float(run.stdout)


def _environment() -> dict[str, str]:
    found = find_spec("bpfmodel")
    assert found is not None and found.origin is not None
    made = {**os.environ, "PYTHONPATH": str(Path(found.origin).parent.parent)}
    made.pop("PYTHONDONTWRITEBYTECODE", None)  # or every run would compile everything again
    return made


ENVIRONMENT = _environment()


if __name__ == "__main__":
    main()
