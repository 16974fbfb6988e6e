"""What is missing on a machine is said with what to do: privileges, libbpf, a kernel; shown in other processes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

import pytest

from bpfmodel import Engine, engine

Run = Callable[[str], subprocess.CompletedProcess[str]]

PRELUDE = """
import ctypes, os
from support.data import testdata
import bpfmodel
from bpfmodel import *

class Objects(BpfObjects):
    good_var: Var[u64]
    good_map: HashMap[u32, u64]
    good: Program

def attempt(use):
    try:
        print("done", use())
    except BpfModelError as error:
        print(type(error).__name__, error)
"""

# What others may not read, such as a Python under /root, is loaded before.
DROP = """
import mmap, pathlib
data = testdata("lazy").read_bytes()
Objects.check(data), MemoryEngine, bpfmodel.engine.default()
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
assert "CapEff:\\t0000000000000000" in pathlib.Path("/proc/self/status").read_text()
"""


def lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.kernel
def test_here_both_engines_can_serve(kernel: Engine) -> None:
    assert engine.available() == {"kernel": "", "memory": ""}
    assert engine.default().name == "kernel"


@pytest.mark.kernel
def test_without_privileges_loading_says_what_to_do(run_python: Run, kernel: Engine) -> None:
    told = lines(run_python(PRELUDE + DROP + "attempt(lambda: Objects.load_and_assign(data))"))
    assert len(told) == 1
    assert told[0].startswith("PrivilegeError ")
    assert "root" in told[0] and "CAP_BPF" in told[0]


@pytest.mark.kernel
def test_the_privilege_error_is_a_permission_error(run_python: Run, kernel: Engine) -> None:
    code = """
import errno
try:
    Objects.load_and_assign(data)
except PermissionError as error:
    print(isinstance(error, PrivilegeError), error.errno == errno.EPERM)
"""
    assert lines(run_python(PRELUDE + DROP + code)) == ["True True"]


@pytest.mark.kernel
def test_a_failure_without_privileges_leaves_nothing_open(run_python: Run, kernel: Engine) -> None:
    code = """
def held():
    return sorted(os.listdir("/proc/self/fd"))
for round in range(2):
    before = held()
    try:
        Objects.load_and_assign(data)
    except PrivilegeError:
        pass
print(held() == before)
"""
    assert lines(run_python(PRELUDE + DROP + code)) == ["True"]


def test_without_privileges_everything_up_to_loading_works(run_python: Run) -> None:
    code = """
print(Objects.check(data))
opened = Objects.open(data).set(Objects.good_var, 5)
with opened.load(engine=MemoryEngine()) as objs:
    objs.good_map[1] = 2
    print(objs.good_var.get(), dict(objs.good_map))
"""
    drop = DROP if os.getuid() == 0 else 'data = testdata("lazy")'
    assert lines(run_python(PRELUDE + drop + code)) == ["()", "5 {1: 2}"]


@pytest.mark.kernel
def test_without_privileges_available_gives_the_reason(run_python: Run, kernel: Engine) -> None:
    told = lines(run_python(PRELUDE + DROP + "print(bpfmodel.engine.available())"))
    assert "'memory': ''" in told[0]
    assert "CAP_BPF" in told[0]


MISSING = """
real = ctypes.CDLL
def fake(name, *arguments, **others):
    if name and "libbpf" in name:
        raise OSError(f"{name}: cannot open shared object file: No such file or directory")
    return real(name, *arguments, **others)
ctypes.CDLL = fake
"""

OLD = """
real = ctypes.CDLL
class Old:
    def __init__(self, inner):
        self.inner = inner
    def __getattr__(self, name):
        if name == "bpf_map__set_autocreate":
            raise AttributeError(f"/lib/libbpf.so.1: undefined symbol: {name}")
        return getattr(self.inner, name)
def fake(name, *arguments, **others):
    found = real(name, *arguments, **others)
    return Old(found) if name and "libbpf" in name else found
ctypes.CDLL = fake
"""


def test_without_libbpf_loading_says_what_to_install(run_python: Run) -> None:
    told = lines(run_python(PRELUDE + MISSING + "attempt(lambda: Objects.load_and_assign(testdata('lazy')))"))
    assert len(told) == 1
    assert told[0].startswith("NotSupportedError ")
    assert "libbpf 1.0 or newer is not installed" in told[0] and "apt install libbpf1" in told[0]


def test_an_old_libbpf_is_told_with_what_it_lacks(run_python: Run) -> None:
    told = lines(run_python(PRELUDE + OLD + "attempt(lambda: Objects.load_and_assign(testdata('lazy')))"))
    assert len(told) == 1
    assert told[0].startswith("NotSupportedError ")
    assert "bpf_map__set_autocreate" in told[0] and "libbpf 1.0" in told[0]
    assert "install" in told[0] or "upgrade" in told[0]


@pytest.mark.parametrize("without", [MISSING, OLD])
def test_without_libbpf_the_rest_of_the_library_works(run_python: Run, without: str) -> None:
    code = """
print(bool(bpfmodel.engine.available()["kernel"]), Objects.check(testdata("lazy")))
with Objects.load_and_assign(testdata("lazy"), engine=MemoryEngine()) as objs:
    print(objs.good_var.get())
attempt(lambda: Objects.load_and_assign(testdata("lazy")))
"""
    told = lines(run_python(PRELUDE + without + code))
    assert told[:2] == ["True ()", "0"]
    assert told[2].startswith("NotSupportedError ")  # the engines never stand in for each other


def test_on_another_system_the_kernel_engine_says_so(run_python: Run) -> None:
    code = """
import sys
sys.platform = "darwin"
print(bpfmodel.engine.available()["kernel"])
attempt(lambda: Objects.load_and_assign(testdata("lazy")))
with Objects.load_and_assign(testdata("lazy"), engine=MemoryEngine()) as objs:
    print(objs.good_var.get())
"""
    told = lines(run_python(PRELUDE + code))
    assert "Linux" in told[0] and "darwin" in told[0]
    assert told[1].startswith("NotSupportedError ") and "MemoryEngine()" in told[1]
    assert told[2] == "0"


def test_reading_and_checking_load_no_libbpf_and_no_linux_module(run_python: Run) -> None:
    code = """
import sys
from bpfmodel import BpfObjects, HashMap, Program, Var, u32, u64
from support.data import testdata

class Objects(BpfObjects):
    good_var: Var[u64]
    good_map: HashMap[u32, u64]
    good: Program

Objects.check(testdata("lazy"))
print(sorted({"fcntl", "resource", "bpfmodel.engine.kernel", "bpfmodel.engine.libbpf"} & set(sys.modules)))
import pathlib
print("libbpf" in pathlib.Path("/proc/self/maps").read_text())
"""
    assert lines(run_python(code)) == ["[]", "False"]
