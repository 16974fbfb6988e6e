"""Live references: each reads and writes just its own bytes, in place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from typing import Literal as L

import pytest
from handles.test_rich_types import Flags, Mode, Nested, Number, Point, Wire
from support.data import testdata

from bpfmodel import (
    Array,
    BpfObjects,
    BpfTypeError,
    BpfValueError,
    ClosedError,
    Const,
    CString,
    NotSupportedError,
    Program,
    ReadOnlyError,
    Var,
    boolean,
    u32,
    u64,
)
from bpfmodel.engine import Engine


class Objects(BpfObjects):
    nested: Var[Nested]
    number: Var[Number]
    bits: Var[Flags]
    wire: Var[Wire]
    arr: Var[Array[u32, L[4]]]
    matrix: Var[Array[Array[u64, L[3]], L[2]]]
    flags: Var[Array[boolean, L[3]]]
    stats: Var[Any]
    msg: Var[CString[L[13]]]
    u64_var: Var[u64]
    ro_bits: Const[Flags]
    ro_arr: Const[Array[u32, L[4]]]
    bump: Program


@pytest.fixture
def objs(engine: Engine) -> Iterator[Objects]:
    with Objects.load_and_assign(testdata("scalars"), engine=engine) as loaded:
        yield loaded


def changed(objs: Objects, act: Any) -> set[int]:
    """Run `act`, and return which bytes of all of .data it changed."""
    before = section(objs)
    act()
    return {at for at, (old, new) in enumerate(zip(before, section(objs), strict=True)) if old != new}


def section(objs: Objects) -> bytes:
    view = objs.nested._section.view
    assert view is not None
    return bytes(view)


def test_members_and_elements_are_read_in_place(objs: Objects) -> None:
    ref = objs.nested.ref()
    assert (ref.id, ref.at[1].y, ref.at[-2].x, ref.mode, ref.ready) == (513, -4, 1, Mode.MODE_ON, True)
    assert (ref.as_.half[1], ref.in_.word, len(ref.at)) == (0x11111111, 0x04030201, 2)
    value = objs.nested.get()
    value.at[0].x = 99
    objs.nested.set(value)
    assert ref.at[0].x == 99
    assert [point.x for point in ref.at] == [99, 3]


def test_what_is_stored_is_just_those_bytes(objs: Objects) -> None:
    ref, start = objs.nested.ref(), objs.nested.offset

    def at(offset: int, size: int) -> set[int]:
        return set(range(start + offset, start + offset + size))

    assert changed(objs, lambda: setattr(ref.at[1], "x", -1)) == at(12, 4)
    assert changed(objs, lambda: ref.as_.half.__setitem__(0, 0)) == at(24, 4)
    assert changed(objs, lambda: setattr(ref, "mode", Mode.MODE_OFF)) == at(36, 1)
    assert changed(objs, lambda: setattr(ref, "at", [Point(0, 0), Point(0, 0)])) <= at(4, 16)
    assert objs.nested.get().at == [Point(0, 0), Point(0, 0)]


def test_anonymous_members_are_reached_as_in_c(objs: Objects) -> None:
    ref: Any = objs.nested.ref()
    ref.octets = b"abcd"
    assert ref.word == int.from_bytes(b"abcd", "little") == objs.nested.get().in_.word


@pytest.mark.parametrize(
    ("name", "value"), [("a", 7), ("b", 0), ("c", -64), ("c", 63), ("d", (1 << 40) - 1), ("full", 1)]
)
def test_bitfields_leave_their_neighbours(objs: Objects, name: str, value: int) -> None:
    expected = objs.bits.get()
    setattr(objs.bits.ref(), name, value)
    setattr(expected, name, value)
    assert objs.bits.get() == expected


def test_packed_members(objs: Objects) -> None:
    ref = objs.wire.ref()
    ref.seq = 0xFFFFFFFF
    assert objs.wire.get() == Wire(1, 0xFFFFFFFF, 500)
    assert ref.len == 500


def test_arrays_of_numbers_and_of_arrays(objs: Objects) -> None:
    objs.arr.ref()[2] = 5
    objs.matrix.ref()[1][-1] = 7
    objs.flags.ref()[1] = True
    assert objs.arr.get() == [1, 2, 5, 4]
    assert objs.matrix.get() == [[1, 2, 3], [4, 5, 7]]
    assert objs.flags.get() == [True, True, True]
    assert list(objs.arr.ref()) == [1, 2, 5, 4]


def test_loose_structs_have_the_members_of_the_object(objs: Objects) -> None:
    ref = objs.stats.ref()
    ref.drops = 44
    assert (ref.packets, objs.stats.get()["drops"]) == (11, 44)


def test_values_that_do_not_fit_are_refused_with_the_way_to_them(objs: Objects) -> None:
    ref: Any = objs.nested.ref()
    before = section(objs)
    for act, way in (
        (lambda: setattr(ref.at[1], "x", 1 << 31), r"^nested.at\[1\].x: 2147483648 is out of range for s32"),
        (lambda: setattr(ref, "at", [Point(0, 0)]), r"^nested.at: 1 values"),
        (lambda: ref.as_.half.__setitem__(1, -1), r"^nested.as_.half\[1\]: -1 is out of range"),
        (lambda: setattr(objs.bits.ref(), "a", 8), r"^bits.a: 8 is out of range for a bitfield of 3 bits"),
        (lambda: setattr(objs.bits.ref(), "a", "x"), r"^bits.a: 'x' is no integer"),
        (lambda: setattr(ref, "octets", b"abc"), r"^nested.in_.octets: 3 bytes"),
    ):
        with pytest.raises(BpfValueError, match=way):
            act()  # type: ignore[no-untyped-call]
    assert section(objs) == before


def test_names_and_indexes_that_are_not_there(objs: Objects) -> None:
    ref: Any = objs.nested.ref()
    with pytest.raises(AttributeError, match=r"Reference to struct Nested.* has no attribute .nothing"):
        ref.nothing = 1
    with pytest.raises(AttributeError):
        _ = ref.nothing
    for index in (2, -3, 1 << 64):
        with pytest.raises(IndexError, match=r"nested.at has 2 elements"):
            ref.at[index]
    with pytest.raises(BpfTypeError, match="no index"):
        ref.at["0"]


@pytest.mark.parametrize("name", ["msg", "u64_var"])
def test_what_has_nothing_inside_has_no_reference(objs: Objects, name: str) -> None:
    with pytest.raises(NotSupportedError, match=f"{name} is .*nothing inside to refer to"):
        getattr(objs, name).ref()


def test_constants_are_only_read(objs: Objects) -> None:
    bits: Any = objs.ro_bits.ref()
    assert (bits.a, bits.c) == (1, -3)
    with pytest.raises(ReadOnlyError, match=r"a lies in a section of constants|ro_bits"):
        bits.a = 2
    with pytest.raises(ReadOnlyError, match=r"ro_bits.full lies in a section of constants"):
        bits.full = 2
    with pytest.raises(ReadOnlyError, match=r"ro_arr\[0\]"):
        objs.ro_arr.ref()[0] = 1
    assert objs.ro_bits.get() == Flags(1, 2, -3, 4, 5)


def test_use_after_close(engine: Engine) -> None:
    with Objects.load_and_assign(testdata("scalars"), engine=engine) as objs:
        ref: Any = objs.nested.ref()
        at, inner, bits, var = ref.at, ref.as_, objs.bits.ref(), objs.nested
    for use in (
        lambda: ref.id,
        lambda: setattr(ref, "id", 1),
        lambda: at[0],
        lambda: at.__setitem__(0, Point(1, 1)),
        lambda: inner.whole,
        lambda: ref.word,
        lambda: bits.a,
        lambda: setattr(bits, "a", 1),
        var.ref,
    ):
        with pytest.raises(ClosedError, match="closed"):
            use()


@pytest.mark.kernel
def test_a_program_sees_and_is_seen(kernel: Engine) -> None:
    with Objects.load_and_assign(testdata("scalars"), engine=kernel) as objs:
        ref = objs.nested.ref()
        ref.at[1].x = 50
        objs.bump.run()
        assert (ref.at[1].x, ref.id, ref.mode) == (-50, 514, Mode.MODE_OFF)


def test_where_the_section_cannot_be_mapped(kernel: Engine) -> None:
    from bpfmodel import MapFlag

    opened = Objects.open(testdata("scalars"))
    opened.spec.maps[".data"].flags &= ~MapFlag.MMAPABLE
    with opened.load(engine=kernel) as objs, pytest.raises(NotSupportedError, match="cannot be mapped"):
        objs.nested.ref()


def test_numbers_that_were_read_before_are_gone_after_close(engine: Engine) -> None:
    objs = Objects.load_and_assign(testdata("scalars"), engine=engine)
    struct, array = objs.nested.ref(), objs.matrix.ref()[1]
    point = struct.at[1]
    point.x = 3
    assert (point.x, array[0]) == (3, objs.matrix.get()[1][0])
    objs.close()
    for use in (lambda: point.x, lambda: setattr(point, "x", 1), lambda: array[0], lambda: array.__setitem__(0, 1)):
        with pytest.raises(ClosedError, match=r"nested\.at\[1\]|matrix\[1\]"):
            use()


def test_a_reference_is_made_once_and_leaves_nothing_when_it_goes(objs: Objects) -> None:
    assert objs.nested.ref() is objs.nested.ref()
    assert objs.nested.ref().at is objs.nested.ref().at
    rows = objs.matrix.ref()
    section = objs.matrix._section
    before = len(section._lent)
    for _ in range(100):
        assert rows[0][1] == objs.matrix.get()[0][1]
    assert len(section._lent) <= before + 1
