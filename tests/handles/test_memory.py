"""What a handle tells of its variable, and the variable's live bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal as L

import pytest
from support.data import testdata

from bpfmodel import (
    Array,
    BpfObjects,
    Bytes,
    CollectionSpec,
    Const,
    CString,
    Engine,
    Program,
    Var,
    field,
    s64,
    u8,
    u32,
    u64,
)


class Objects(BpfObjects):
    u8_var: Var[u8]
    u64_var: Var[u64]
    s64_zero: Var[s64]
    message: Var[CString[L[13]]] = field(name="msg")
    custom_var: Var[u32]
    ro_u32: Const[u32]
    ro_mac: Const[Bytes[L[6]]]
    ro_custom: Const[u32]


class Running(Objects):
    bump: Program


@pytest.fixture
def objs(engine: Engine) -> Iterator[Objects]:
    with Objects.load_and_assign(testdata("scalars"), engine=engine) as loaded:
        yield loaded


@pytest.mark.parametrize(
    ("attribute", "name", "section", "size"),
    [
        ("u8_var", "u8_var", ".data", 1),
        ("u64_var", "u64_var", ".data", 8),
        ("s64_zero", "s64_zero", ".bss", 8),
        ("message", "msg", ".data", 13),
        ("custom_var", "custom_var", ".data.custom", 4),
        ("ro_u32", "ro_u32", ".rodata", 4),
        ("ro_mac", "ro_mac", ".rodata", 6),
        ("ro_custom", "ro_custom", ".rodata.custom", 4),
    ],
)
def test_metadata_is_that_of_the_object(objs: Objects, attribute: str, name: str, section: str, size: int) -> None:
    variable = getattr(objs, attribute)
    spec = CollectionSpec.from_file(testdata("scalars")).variables[name]
    assert (variable.name, variable.section, variable.size) == (name, section, size)
    assert variable.offset == spec.offset


def test_the_type_is_in_terms_of_btf(objs: Objects) -> None:
    assert objs.u64_var.type.size == 8  # type: ignore[union-attr]
    assert not objs.u64_var.type.signed  # type: ignore[union-attr]
    assert objs.s64_zero.type.signed  # type: ignore[union-attr]
    assert objs.ro_mac.type.length == 6  # type: ignore[union-attr]


def test_memory_has_the_size_and_the_bytes_of_the_variable(objs: Objects) -> None:
    assert bytes(objs.u64_var.memory) == (0x0123456789ABCDEF).to_bytes(8, "little")
    assert bytes(objs.ro_mac.memory) == b"\1\2\3\4\5\6"
    assert objs.message.memory.nbytes == 13


def test_memory_is_live_in_both_directions(objs: Objects) -> None:
    memory = objs.u64_var.memory
    objs.u64_var.set(0x1122)
    assert memory[:2] == b"\x22\x11"
    memory[7] = 0xFF
    assert objs.u64_var.get() == 0xFF00000000001122


def test_memory_is_bounded_by_the_variable(objs: Objects) -> None:
    with pytest.raises(IndexError):
        objs.u64_var.memory[8] = 1
    with pytest.raises(ValueError, match="structures"):
        objs.u64_var.memory[:] = bytes(9)


def test_memory_of_a_const_is_read_only(objs: Objects) -> None:
    for constant in (objs.ro_u32, objs.ro_mac, objs.ro_custom):
        assert constant.memory.readonly
        with pytest.raises(TypeError):
            constant.memory[0] = 1
        with pytest.raises(TypeError):
            constant.memory.cast("B")[0] = 1
    assert not objs.u8_var.memory.readonly
    assert objs.ro_u32.get() == 4000000


@pytest.mark.kernel
def test_the_program_and_python_share_the_memory(kernel: Engine) -> None:
    with Running.load_and_assign(testdata("scalars"), engine=kernel) as objs:
        memory = objs.u8_var.memory
        objs.u64_var.set(41)
        memory[0] = 9
        objs.message.set("quiet")
        objs.bump.run()
        assert objs.u64_var.get() == 42
        assert objs.u8_var.get() == memory[0] == 10
        assert objs.message.get() == "Juiet"
        assert objs.custom_var.get() == 1002
        assert objs.s64_zero.get() == -1


@pytest.mark.kernel
def test_the_program_sees_a_rewritten_constant(kernel: Engine) -> None:
    class Sums(BpfObjects):
        ro_u32: Const[u32]
        ro_custom: Const[u32]
        sum: Program

    with Sums.load_and_assign(testdata("scalars"), engine=kernel) as objs:
        assert objs.sum.run().retval == 1105106701
    constants = {"ro_u32": 4000000 + 5, "ro_custom": 2002 + 70}
    with Sums.load_and_assign(testdata("scalars"), constants=constants, engine=kernel) as objs:
        assert objs.sum.run().retval == 1105106701 + 75


class Arrays(BpfObjects):
    page: Var[Bytes[L[4096]]]
    large: Var[Array[u64, L[3000]]]
    ro_page: Const[Bytes[L[8192]]]


class RunningArrays(Arrays):
    edges: Program


def test_arrays_of_a_page_and_more_are_accessible_to_the_last_byte(engine: Engine) -> None:
    with Arrays.load_and_assign(testdata("arrays"), engine=engine) as objs:
        large = [1, 2, *[0] * 2997, 3000]
        assert objs.large.get() == large
        assert objs.ro_page.get() == b"\x11" + bytes(8190) + b"\x5a"
        assert objs.page.get() == bytes(4096)
        objs.page.set(bytes(range(256)) * 16)
        objs.large.set(list(range(3000)))
        assert objs.page.get() == bytes(range(256)) * 16
        assert objs.large.get() == list(range(3000))
        objs.page.memory[4095] = 7
        assert objs.page.get()[-2:] == b"\xfe\x07"
        assert (objs.page.memory.nbytes, objs.large.memory.nbytes, objs.ro_page.memory.nbytes) == (4096, 24000, 8192)
        assert objs.ro_page.memory[8191] == 90


@pytest.mark.kernel
def test_the_program_reaches_the_edges_of_large_arrays_too(kernel: Engine) -> None:
    constants = {"ro_page": bytes(8191) + b"\x21"}
    with RunningArrays.load_and_assign(testdata("arrays"), constants=constants, engine=kernel) as objs:
        assert objs.edges.run().retval == 0x21
        page, large = objs.page.get(), objs.large.get()
        assert (page[0], page[1], page[4094], page[4095]) == (1, 0, 0, 255)
        assert (large[0], large[1], large[2999]) == (1001, 2, 4000)


def test_variables_behind_a_flexible_array_are_where_they_are(engine: Engine) -> None:
    class Zero(BpfObjects):
        before: Var[int]
        after: Var[int]

    with Zero.load_and_assign(testdata("zero"), engine=engine) as objs:
        objs.before.set(77)
        assert (objs.before.get(), objs.after.get()) == (77, 2)


def test_weak_variables_are_present(engine: Engine) -> None:
    class Visible(BpfObjects):
        global_data: Var[u32]
        weak_data: Var[u32]
        weak_bss: Var[u32]
        weak_ro: Const[u32]

    with Visible.load_and_assign(testdata("visibility"), engine=engine) as objs:
        objs.weak_bss.set(3)
        assert [v.get() for v in (objs.global_data, objs.weak_data, objs.weak_bss, objs.weak_ro)] == [1, 4, 3, 14]


def test_variables_of_a_linked_object(engine: Engine) -> None:
    class Linked(BpfObjects):
        shared: Var[u64]
        only_a: Var[int]
        only_b: Var[int]
        ro_b: Const[int]

    with Linked.load_and_assign(testdata("linked"), constants={"ro_b": 21}, engine=engine) as objs:
        objs.shared.set(6)
        assert [v.get() for v in (objs.shared, objs.only_a, objs.only_b, objs.ro_b)] == [6, 1, 2, 21]
