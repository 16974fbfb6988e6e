"""Sections that the kernel cannot map: get and set go through the map, and views say what is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal as L

import pytest
from support.data import testdata

from bpfmodel import (
    BpfObjects,
    BpfValueError,
    ClosedError,
    Const,
    CString,
    Engine,
    MapFlag,
    NotSupportedError,
    Program,
    Struct,
    Var,
    u8,
    u16,
    u32,
    u64,
)

pytestmark = pytest.mark.kernel


class Untyped(BpfObjects):
    packets: Var[u64]
    limit: Var[u32]
    msg: Var[CString[L[13]]]
    ro_port: Const[u16]
    limited: Program


class Stats(Struct):
    packets: u64
    bytes: u64
    drops: u32
    mode: u8


class Typed(BpfObjects):
    u8_var: Var[u8]
    u64_var: Var[u64]
    msg: Var[CString[L[13]]]
    stats: Var[Stats]
    u32_zero: Var[u32]
    ro_u32: Const[u32]
    bump: Program


def load_unmapped(kernel: Engine, *sections: str) -> Typed:
    opened = Typed.open(testdata("scalars"))
    for section in sections:
        assert opened.spec.maps[section].flags & MapFlag.MMAPABLE
        opened.spec.maps[section].flags &= ~MapFlag.MMAPABLE
    return opened.load(engine=kernel)


def test_an_object_without_btf_loads_and_its_variables_work(kernel: Engine) -> None:
    with Untyped.load_and_assign(testdata("nobtf"), engine=kernel) as objs:
        assert (objs.packets.get(), objs.limit.get(), objs.msg.get(), objs.ro_port.get()) == (
            0,
            10,
            "Hello World!",
            8080,
        )
        objs.limit.set(2)
        objs.msg.set("xello")
        assert [objs.limited.run(bytes(14)).retval for _ in range(3)] == [2, 2, 1]
        assert (objs.packets.get(), objs.msg.get()) == (3, "Jello")


def test_constants_of_an_object_without_btf_are_rewritten(kernel: Engine) -> None:
    opened = Untyped.open(testdata("nobtf")).set(Untyped.ro_port, 0)
    with opened.load(engine=kernel) as objs:
        assert objs.ro_port.get() == 0
        assert objs.limited.run(bytes(14)).retval == 0


def test_get_and_set_work_and_leave_the_neighbours_alone(kernel: Engine) -> None:
    with load_unmapped(kernel, ".data", ".bss", ".rodata") as objs:
        objs.u8_var.set(9)
        objs.stats.set(Stats(1, 2, 3, 4))
        objs.u32_zero.set(5)
        assert objs.u8_var.get() == 9
        assert objs.stats.get() == Stats(1, 2, 3, 4)
        assert objs.u64_var.get() == 0x0123456789ABCDEF
        assert objs.msg.get() == "Hello World!"
        assert objs.ro_u32.get() == 4000000
        objs.bump.run()
        assert objs.u8_var.get() == 10
        assert objs.u32_zero.get() == 6
        assert objs.msg.get() == "Jello World!"


def test_only_the_section_without_the_flag_is_copied(kernel: Engine) -> None:
    with load_unmapped(kernel, ".data") as objs:
        assert bytes(objs.u32_zero.memory) == bytes(4)
        with pytest.raises(NotSupportedError):
            _ = objs.u8_var.memory


@pytest.mark.parametrize("name", ["u8_var", "u64_var", "stats", "u32_zero", "ro_u32"])
def test_memory_names_what_is_missing(kernel: Engine, name: str) -> None:
    with load_unmapped(kernel, ".data", ".bss", ".rodata") as objs:
        variable = getattr(objs, name)
        with pytest.raises(NotSupportedError, match=r"Linux 5\.5") as caught:
            _ = variable.memory
        assert name in str(caught.value)
        assert variable.section in str(caught.value)


def test_memory_of_an_object_without_btf_names_the_btf(kernel: Engine) -> None:
    with (
        Untyped.load_and_assign(testdata("nobtf"), engine=kernel) as objs,
        pytest.raises(NotSupportedError, match="BTF"),
    ):
        _ = objs.packets.memory


def test_const_still_has_no_set(kernel: Engine) -> None:
    with load_unmapped(kernel, ".rodata") as objs:
        assert not hasattr(objs.ro_u32, "set")


def test_metadata_is_the_same(kernel: Engine) -> None:
    with load_unmapped(kernel, ".data") as copied, Typed.load_and_assign(testdata("scalars"), engine=kernel) as mapped:
        for name in ("u8_var", "stats", "msg"):
            ours, theirs = getattr(copied, name), getattr(mapped, name)
            assert (ours.name, ours.section, ours.offset, ours.size, ours.type) == (
                theirs.name, theirs.section, theirs.offset, theirs.size, theirs.type
            )  # fmt: skip


def test_refusals_name_the_variable(kernel: Engine) -> None:
    with load_unmapped(kernel, ".data") as objs:
        with pytest.raises(BpfValueError, match=r"u8_var.*0 to 255"):
            objs.u8_var.set(256)
        assert objs.u8_var.get() == 200


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda objs: objs.u8_var.get, id="get"),
        pytest.param(lambda objs: lambda: objs.u8_var.set(1), id="set"),
        pytest.param(lambda objs: objs.ro_u32.get, id="const"),
    ],
)
def test_use_after_close_is_an_exception(kernel: Engine, use: Callable[[Typed], Callable[[], object]]) -> None:
    objs = load_unmapped(kernel, ".data", ".rodata")
    taken = use(objs)
    objs.close()
    with pytest.raises(ClosedError):
        taken()


def test_repr_tells_of_a_closed_one(kernel: Engine) -> None:
    objs = load_unmapped(kernel, ".data")
    variable = objs.u8_var
    assert "200" in repr(variable)
    objs.close()
    assert "ClosedError" in repr(variable)
