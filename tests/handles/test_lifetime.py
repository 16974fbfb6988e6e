"""A handle keeps alive what it needs: it works as long as nobody closed its object, also when that is out of sight."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
from support.data import testdata

from bpfmodel import ArrayMap, BpfObjects, ClosedError, Const, Engine, HashMap, Program, Var, u32, u64


class Lazy(BpfObjects):
    good_var: Var[u64]
    good_map: HashMap[u32, u64]
    spare_map: ArrayMap[u32]


class Running(Lazy):
    good: Program


class Tail(BpfObjects):
    tail: Program


class Constants(BpfObjects):
    ro_u32: Const[u32]


def test_a_variable_outlives_its_object(engine: Engine) -> None:
    variable = Lazy.load_and_assign(testdata("lazy"), engine=engine).good_var
    gc.collect()
    variable.set(5)
    assert variable.get() == 5
    assert bytes(variable.memory) == b"\5" + bytes(7)


def test_a_constant_outlives_its_object(engine: Engine) -> None:
    constant = Constants.load_and_assign(testdata("scalars"), engine=engine).ro_u32
    gc.collect()
    assert constant.get() == 4000000


def test_a_hash_map_outlives_its_object(engine: Engine) -> None:
    table = Lazy.load_and_assign(testdata("lazy"), engine=engine).good_map
    gc.collect()
    table[1] = 2
    assert dict(table) == {1: 2}


def test_an_array_outlives_its_object(engine: Engine) -> None:
    array = Lazy.load_and_assign(testdata("lazy"), engine=engine).spare_map
    gc.collect()
    array[1] = 2
    assert list(array) == [0, 2, 0, 0]


@pytest.mark.kernel
def test_a_program_outlives_its_object(kernel: Engine) -> None:
    program = Running.load_and_assign(testdata("lazy"), engine=kernel).good
    gc.collect()
    assert program.run(bytes(14)).retval == 2


@pytest.mark.kernel
def test_a_program_keeps_its_filled_program_array(kernel: Engine) -> None:
    program = Tail.load_and_assign(testdata("maps"), engine=kernel).tail
    gc.collect()
    assert program.run(bytes(14)).retval == 3  # XDP_TX, by way of the array


@pytest.mark.kernel
def test_an_attachment_outlives_its_object(kernel: Engine) -> None:
    import os

    class Attach(BpfObjects):
        target_pid: Const[u32]
        n_tp: Var[u64]
        count_tp: Program

    objs = Attach.load_and_assign(testdata("attach"), constants={"target_pid": os.getpid()}, engine=kernel)
    count, link = objs.n_tp, objs.count_tp.attach()
    del objs
    gc.collect()
    try:
        os.getppid()
        assert count.get() == 1
    finally:
        link.close()
    os.getppid()
    assert count.get() == 1


@pytest.mark.kernel
def test_memory_kept_by_the_user_outlives_everything(kernel: Engine) -> None:
    memory = Lazy.load_and_assign(testdata("lazy"), engine=kernel).good_var.memory
    gc.collect()
    memory[0] = 3
    assert bytes(memory) == b"\3" + bytes(7)


def test_an_object_that_is_out_of_sight_is_not_kept_by_itself(engine: Engine) -> None:
    objs = Lazy.load_and_assign(testdata("lazy"), engine=engine)
    seen = weakref.ref(objs)
    del objs
    gc.collect()
    assert seen() is None


@pytest.mark.kernel
def test_dropping_every_handle_frees_every_descriptor(kernel: Engine) -> None:
    def held() -> int:
        return sum("bpf" in str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink())

    gc.collect()
    before = held()
    objs = Running.load_and_assign(testdata("lazy"), engine=kernel)
    variable, table, program = objs.good_var, objs.good_map, objs.good
    assert held() > before
    del objs, variable, table, program
    gc.collect()
    assert held() == before


def test_closing_is_for_all_handles_wherever_they_are(engine: Engine) -> None:
    objs = Lazy.load_and_assign(testdata("lazy"), engine=engine)
    variable, table = objs.good_var, objs.good_map
    objs.close()
    del objs
    gc.collect()
    for use in (variable.get, lambda: table[1]):
        with pytest.raises(ClosedError):
            use()


def test_nothing_slows_every_attribute_down() -> None:
    """A class with ``__getattr__`` loses the interpreter's quick attribute access: ``get()`` would take twice as long."""
    from bpfmodel import BpfObjects, Const, HashMap, Program, Var

    for cls in (BpfObjects, Const, HashMap, Program, Var):
        for base in cls.__mro__:
            assert "__getattr__" not in vars(base), f"{base.__name__} slows {cls.__name__} down"
            assert base is object or "__getattribute__" not in vars(base)
