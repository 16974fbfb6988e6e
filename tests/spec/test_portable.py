"""Reading and checking need no Linux: no module that only Linux has is imported on the way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.data import testdata

import bpfmodel

CODE = """
import sys
import elftools.elf.elffile, importlib.metadata, pydantic.main, shutil, sysconfig, zipfile  # what others import is theirs
for name in {blocked}:
    sys.modules[name] = None
sys.platform = {platform!r}
from bpfmodel import Array, BpfObjects, CollectionSpec, Const, CString, MismatchError, Program, Struct, Var, u8, u32, u64
from typing import Literal as L

class Stats(Struct):
    packets: u64
    bytes: u64
    drops: u32
    mode: u8

class Objects(BpfObjects):
    u32_var: Var[u32]
    ro_u32: Const[u32]
    msg: Var[CString[L[13]]]
    arr: Var[Array[u32, L[4]]]
    stats: Var[Stats]
    bump: Program

class Wrong(BpfObjects):
    u32_var: Var[u64]

spec = CollectionSpec.from_file({path!r})
assert spec.variables["u32_var"].get() == 0xDEADBEEF
spec.rewrite_constants({{"ro_u32": 1}})
Objects.check(spec)
Objects.check({path!r})
opened = Objects.open({path!r}).set(Objects.ro_u32, 7)
assert opened.get(Objects.ro_u32) == 7
assert Objects.constants_model()(ro_u32=5).ro_u32 == 5
try:
    Wrong.check(spec)
except MismatchError as error:
    print(len(error.findings))
"""

LINUX_ONLY = ["fcntl", "mmap", "ctypes", "_ctypes", "resource", "termios"]


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_reading_and_checking(platform: str) -> None:
    code = CODE.format(blocked=LINUX_ONLY, platform=platform, path=str(testdata("scalars")))
    root = Path(bpfmodel.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
