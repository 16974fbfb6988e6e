"""Structs as Python classes: construction, defaults, equality, repr, and names that C has and Python hides."""

from __future__ import annotations

import copy
import enum
import pickle
from typing import Annotated, Any  # fmt: skip
from typing import Literal as L

import pytest

from bpfmodel import (  # fmt: skip
    Align,
    Array,
    Bits,
    BpfTypeError,
    BpfValueError,
    Bytes,
    CString,
    DeclarationError,
    Struct,
    boolean,
    f32,
    s8,
    s16,
    u8,
    u16,
    u32,
    u64,
)
from bpfmodel.types.codec import codec_for


class Mode(enum.IntEnum):
    OFF = 0
    ON = 1


class Stats(Struct):
    packets: u64
    bytes: u64
    drops: u32 = 0
    mode: u8 = 7


class Point(Struct):
    x: s16
    y: s16 = -1


class Line(Struct):
    name: CString[L[8]]
    ends: Array[Point, L[2]]
    mode: Mode


def raw(value: Struct) -> bytes:
    return codec_for(type(value).__bpf_type__(), "little").encode(value)


def test_construction() -> None:
    by_keyword = Stats(packets=1, bytes=2, drops=3, mode=4)
    assert by_keyword == Stats(1, 2, 3, 4) == Stats(1, 2, mode=4, drops=3)
    assert (by_keyword.packets, by_keyword.bytes, by_keyword.drops, by_keyword.mode) == (1, 2, 3, 4)


def test_defaults() -> None:
    assert Stats(1, 2) == Stats(packets=1, bytes=2, drops=0, mode=7)
    assert Point(3).y == -1


def test_a_default_list_is_not_shared() -> None:
    class Row(Struct):
        cells: Array[u32, L[2]] = [0, 0]  # noqa: RUF012

    first, second = Row(), Row()
    first.cells[0] = 5
    assert second.cells == [0, 0] and Row().cells == [0, 0]


def test_a_default_struct_is_not_shared() -> None:
    class Row(Struct):
        at: Point = Point(1, 2)

    first, second = Row(), Row()
    first.at.x = 5
    assert second.at == Point(1, 2)


def test_a_default_that_does_not_fit() -> None:
    """At class creation, or at the latest when it is used."""

    def declare() -> None:
        class Wrong(Struct):
            small: u8 = 300

        Wrong()

    with pytest.raises((DeclarationError, BpfValueError), match="300"):
        declare()


@pytest.mark.parametrize(
    ("arguments", "keywords", "message"),
    [
        ((), {}, "Stats needs a value for packets"),
        ((1,), {}, "Stats needs a value for bytes"),
        ((1, 2, 3, 4, 5), {}, "Stats has 4 members, and 5 values were given"),
        ((1,), {"packets": 1, "bytes": 2}, "Stats.packets was given twice"),
        ((1, 2), {"dropz": 1}, "Stats has no member dropz"),
        ((1, 2), {"b": 1, "a": 1}, "Stats has no member a, b"),
        ((1, "2"), {}, "Stats.bytes: '2' is no integer, and u64 takes one from 0 to 18446744073709551615"),
        ((1, 2, 3, None), {}, "Stats.mode: None is no integer, and u8 takes one from 0 to 255"),
    ],
)
def test_refused_arguments(arguments: Any, keywords: Any, message: str) -> None:
    with pytest.raises(BpfTypeError) as caught:
        Stats(*arguments, **keywords)
    assert str(caught.value) == message


def test_a_refused_value_names_its_way() -> None:
    with pytest.raises(BpfValueError) as caught:
        Line("x", [Point(1), Point.__new__(Point)], Mode.ON)
    assert caught.value.path.startswith("Line.ends[1]")
    with pytest.raises(BpfValueError) as caught:
        Stats(1, 2, 2**32)
    assert str(caught.value) == "Stats.drops: 4294967296 is out of range for u32 (0 to 4294967295)"
    assert caught.value.path == "Stats.drops"


def test_equality() -> None:
    class Other(Struct):
        packets: u64
        bytes: u64
        drops: u32
        mode: u8

    class Derived(Stats):
        pass

    assert Stats(1, 2) != Stats(1, 3)
    assert Stats(1, 2) != Other(1, 2, 0, 7)
    assert Stats(1, 2) != Derived(1, 2)
    assert Stats(1, 2) != {"packets": 1, "bytes": 2, "drops": 0, "mode": 7}
    with pytest.raises(TypeError, match="unhashable"):
        hash(Stats(1, 2))


def test_repr() -> None:
    assert repr(Stats(1, 2)) == "Stats(packets=1, bytes=2, drops=0, mode=7)"
    line = Line("a", [Point(1), Point(2)], Mode.ON)
    assert repr(line) == "Line(name='a', ends=[Point(x=1, y=-1), Point(x=2, y=-1)], mode=<Mode.ON: 1>)"


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copies(again: Any) -> None:
    first = Stats(1, 2)
    second = again(first)
    assert second == first and second is not first and type(second) is Stats
    second.packets = 5
    assert first.packets == 1


def test_replace() -> None:
    assert Stats(1, 2).__replace__(bytes=9) == Stats(1, 9)
    with pytest.raises(BpfTypeError, match="no member z"):
        Stats(1, 2).__replace__(z=9)


def test_what_was_read_equals_what_was_built() -> None:
    line = Line("a", [Point(1), Point(2)], Mode.ON)
    back = codec_for(Line.__bpf_type__(), "little").decode(raw(line), 0)
    assert back == line and type(back) is Line and type(back.ends[0]) is Point and back.mode is Mode.ON


def test_padding_is_zero() -> None:
    assert raw(Stats(1, 2, 3, 4)) == b"\1" + bytes(7) + b"\2" + bytes(7) + b"\3\0\0\0\4\0\0\0"


def test_inheritance_puts_the_members_of_the_base_first() -> None:
    class Header(Struct):
        kind: u8

    class Message(Header):
        size: u32

    assert [member.name for member in Message.__bpf_type__().members] == ["kind", "size"]
    assert Message(1, 2) == Message(kind=1, size=2)
    assert raw(Message(1, 2)) == b"\1\0\0\0\2\0\0\0"


def test_layout_options() -> None:
    class Packed(Struct, packed=True):
        a: u8
        b: u32

    class Aligned(Struct, align=16):
        a: u8

    class Member(Struct):
        a: u8
        b: Annotated[u8, Align(8)]

    assert raw(Packed(1, 2)) == b"\1\2\0\0\0"
    assert raw(Aligned(1)) == b"\1" + bytes(15)
    assert raw(Member(1, 2)) == b"\1" + bytes(7) + b"\2" + bytes(7)


@pytest.mark.parametrize("align", [3, -8, 12])
def test_alignments_are_powers_of_two(align: int) -> None:
    with pytest.raises(DeclarationError, match=f"power of two, not {align}"):
        type("Wrong", (Struct,), {"__annotations__": {"a": u8}}, align=align)


def test_bitfields() -> None:
    class Flags(Struct):
        a: Bits[u8, L[3]]
        b: Bits[s8, L[5]]

    assert raw(Flags(5, -16)) == bytes([0b10000101])
    assert codec_for(Flags.__bpf_type__(), "big").encode(Flags(5, -16)) == bytes([0b10110000])
    with pytest.raises(BpfValueError, match=r"Flags.a: 8 is out of range for a bitfield of 3 bits \(0 to 7\)"):
        Flags(8, 0)
    with pytest.raises(BpfValueError, match=r"Flags.b: 16 is out of range for a bitfield of 5 bits \(-16 to 15\)"):
        Flags(0, 16)
    with pytest.raises(BpfTypeError, match="is no integer"):
        Flags("a", 0)


# Members may have any C name


@pytest.mark.parametrize("name", ["self", "cls", "args", "kwargs", "values", "mro", "type", "name", "members", "copy",
                                  "packed", "align", "dict", "json", "schema", "_private", "u32", "Struct"])  # fmt: skip
def test_members_of_any_name(name: str) -> None:
    cls = type("Named", (Struct,), {"__annotations__": {name: u32, "other": u8}})
    value = cls(**{name: 5, "other": 1})
    assert getattr(value, name) == 5 and value == cls(5, 1)
    assert repr(value) == f"Named({name}=5, other=1)"
    assert codec_for(cls.__bpf_type__(), "little").decode(raw(value), 0) == value
    with pytest.raises(BpfTypeError, match=f"Named needs a value for {name}"):
        cls(other=1)


def test_names_that_python_mangles() -> None:
    class Hidden(Struct):
        __pad: u32
        __two: u16 = 3

    assert [member.name for member in Hidden.__bpf_type__().members] == ["__pad", "__two"]
    value = Hidden(**{"__pad": 1})
    assert vars(value) == {"__pad": 1, "__two": 3}


def test_dunder_members_in_a_class_with_underscores() -> None:
    class _Hidden(Struct):
        __x: u32
        _Hidden: u8

    assert [member.name for member in _Hidden.__bpf_type__().members] == ["__x", "_Hidden"]


def test_assignment_is_checked_when_written() -> None:
    value = Stats(1, 2)
    value.packets = -1  # a plain attribute: nothing is checked before it is written
    with pytest.raises(BpfValueError, match="packets: -1 is out of range"):
        raw(value)
    value.packets = 1
    value.more = 1  # type: ignore[attr-defined]
    with pytest.raises(BpfTypeError, match="more"):
        raw(value)


def test_a_missing_member_is_told() -> None:
    value = Stats(1, 2)
    del value.drops
    with pytest.raises(BpfTypeError, match="drops"):
        raw(value)


@pytest.mark.parametrize("annotation", [boolean, f32, Bytes[L[3]], CString[L[3]], Array[u8, L[3]], Mode, Point])
def test_members_of_all_types(annotation: Any) -> None:
    cls = type("Holder", (Struct,), {"__annotations__": {"before": u8, "it": annotation, "after": u8}})
    made = codec_for(cls.__bpf_type__(), "big")
    value = made.decode(bytes(made.size), 0)
    assert made.encode(value) == bytes(made.size)
    assert cls(1, value.it, 2).it == value.it
