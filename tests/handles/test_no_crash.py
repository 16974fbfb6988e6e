"""What would be a segmentation fault in C is an exception, or simply works: shown in processes that could die of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from bpfmodel import Engine

pytestmark = pytest.mark.kernel

Run = Callable[[str], subprocess.CompletedProcess[str]]

PRELUDE = """
import ctypes, gc, os, sys, threading
from typing import Literal as L
from support.data import testdata
from bpfmodel import *

class Objects(BpfObjects):
    u64_var: Var[u64]
    u128_var: Var[u128]
    msg: Var[CString[L[13]]]
    u64_zero: Var[u64]
    ro_u32: Const[u32]
    ro_mac: Const[Bytes[L[6]]]
    bump: Program

class Maps(BpfObjects):
    good_map: HashMap[u32, u64]
    spare_map: ArrayMap[u32]
    good: Program

class Attach(BpfObjects):
    count_tp: Program
    count_raw_tp: Program

class Arrays(BpfObjects):
    large: Var[Array[u64, L[3000]]]
    page: Var[Bytes[L[4096]]]

def load(cls, name):
    return cls.load_and_assign(testdata(name))
"""

USE_AFTER_CLOSE = """
objs, maps, attach = load(Objects, "scalars"), load(Maps, "lazy"), load(Attach, "attach")
maps.good_map[1] = 1
link, raw = attach.count_tp.attach(), attach.count_raw_tp.attach()
items, elements = iter(maps.good_map.items()), iter(maps.spare_map)
next(elements)
uses = {
    "get": objs.u64_var.get, "get wide": objs.u128_var.get, "get text": objs.msg.get, "get zero": objs.u64_zero.get,
    "get const": objs.ro_u32.get, "get bytes": objs.ro_mac.get,
    "set": lambda f=objs.u64_var.set: f(1), "set wide": lambda f=objs.u128_var.set: f(1),
    "set text": lambda f=objs.msg.set: f("x"),
    "memory": lambda v=objs.u64_var: v.memory, "const memory": lambda v=objs.ro_u32: v.memory,
    "run syscall": objs.bump.run, "run xdp": lambda f=maps.good.run: f(bytes(14)),
    "attach": attach.count_tp.attach, "attach_xdp": lambda f=maps.good.attach_xdp: f("lo"),
    "program fileno": objs.bump.fileno,
    "lookup": lambda f=maps.good_map.__getitem__: f(1), "store": lambda f=maps.good_map.__setitem__: f(1, 1),
    "delete": lambda f=maps.good_map.__delitem__: f(1), "iterate": lambda m=maps.good_map: list(m),
    "iterate on": lambda: next(items), "len": maps.good_map.__len__, "clear": maps.good_map.clear,
    "array lookup": lambda f=maps.spare_map.__getitem__: f(0), "array store": lambda f=maps.spare_map.__setitem__: f(0, 1),
    "array iterate on": lambda: next(elements), "map fileno": maps.good_map.fileno,
    "link detach": link.detach, "link update": lambda f=link.update, p=attach.count_tp: f(p),
    "link pin": lambda f=link.pin: f("/sys/fs/bpf/never"), "raw link detach": raw.detach,
}
for owner in (objs, maps, attach):
    owner.close()
for again in (False, True):
    gc.collect()
    for name, use in uses.items():
        try:
            print("NOT REFUSED", name, use())
        except ClosedError:
            pass
        except StopIteration:
            assert again and name.endswith("on")  # a generator ends with the error it raised
        except Exception as error:
            print("OTHER", name, type(error).__name__, error)
    del objs, maps, attach
    objs = maps = attach = None
print(len(uses), "uses")
"""


def test_use_after_close_of_every_handle(run_python: Run, kernel: Engine) -> None:
    done = run_python(PRELUDE + USE_AFTER_CLOSE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "31 uses\n", "")


def test_memory_that_is_kept_does_not_crash(run_python: Run, kernel: Engine) -> None:
    done = run_python(
        PRELUDE
        + """
objs, arrays = load(Objects, "scalars"), load(Arrays, "arrays")
whole = [objs.u64_var.memory, objs.ro_mac.memory, arrays.large.memory, arrays.page.memory]
parts = [view[1:3] for view in whole] + [memoryview(view) for view in whole]
held = (ctypes.c_char * 24000).from_buffer(arrays.large.memory)
objs.close(); arrays.close()
del objs, arrays
gc.collect()
for view in [*whole, *parts]:
    try:
        bytes(view)
        view[0] = 5
    except (ValueError, TypeError):
        pass
held[23999] = b"x"
print(len(bytes(held)), held[23999])
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "24000 b'x'\n", "")


def test_the_interpreter_ends_quietly_with_everything_open(run_python: Run, kernel: Engine) -> None:
    done = run_python(
        PRELUDE
        + """
objs, maps = load(Objects, "scalars"), load(Maps, "lazy")
memory, get, run = objs.u64_var.memory, objs.u64_var.get, objs.bump.run
maps.good_map[1] = 1
iterator = iter(maps.good_map.items())
next(iterator)
cycle = [objs]; cycle.append(cycle)
print(run().retval, get() & 0xFF)
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 240\n", "")


def test_closing_under_the_feet_of_other_threads(run_python: Run, kernel: Engine) -> None:
    done = run_python(
        PRELUDE
        + """
sys.setswitchinterval(0.0002)
other = []
def work(use):
    while True:
        try:
            use()
        except ClosedError:
            return
        except BaseException as error:
            other.append(repr(error))
            return

for round in range(10):
    objs, maps, attach = load(Objects, "scalars"), load(Maps, "lazy"), load(Attach, "attach")
    maps.good_map[1] = 1
    uses = [objs.u64_var.get, lambda o=objs: o.msg.set("abc"), lambda o=objs: bytes(o.ro_mac.get()),
            lambda m=maps: m.good_map[1], lambda m=maps: m.spare_map.__setitem__(2, 3), objs.bump.run,
            lambda m=maps: m.good.run(bytes(14)), lambda a=attach: a.count_tp.attach().close()]
    threads = [threading.Thread(target=work, args=(use,)) for use in uses]
    for thread in threads:
        thread.start()
    for owner in (attach, maps, objs):
        owner.close()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
print(sorted(set(other)))
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_one_process_forks_and_both_go_on(run_python: Run, kernel: Engine) -> None:
    done = run_python(
        PRELUDE
        + """
objs = load(Objects, "scalars")
objs.u64_var.set(1)
child = os.fork()
if not child:
    objs.u64_var.set(2)
    objs.close()
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), objs.u64_var.get(), objs.bump.run().retval, objs.u64_var.get())
"""
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0 2 0 3\n", "")
