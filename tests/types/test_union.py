"""Unions as values, and anonymous and flexible members."""

from __future__ import annotations

from enum import IntEnum
from typing import Any
from typing import Literal as L

import pytest
from pydantic import TypeAdapter, ValidationError

from bpfmodel import (
    Anonymous,
    Array,
    Bits,
    BpfTypeError,
    BpfValueError,
    Bytes,
    DeclarationError,
    Struct,
    Union,
    boolean,
    f64,
    field,
    s8,
    u8,
    u16,
    u32,
    u64,
)
from bpfmodel.btf import kinds
from bpfmodel.types.codec import codec_for


class Number(Union):
    whole: u64
    half: Array[u32, L[2]]
    real: f64


class Word(Union):
    word: u32
    octets: Bytes[L[4]]


class Holder(Struct):
    id: u16
    in_: Anonymous[Word]
    last: u8


def test_a_value_is_read_through_any_member() -> None:
    number = Number(whole=(9 << 32) + 7)
    assert (number.whole, number.half) == ((9 << 32) + 7, [7, 9])
    assert bytes(number) == b"\7\0\0\0\t\0\0\0"
    assert repr(number) == f"Number(whole={number.whole}, half=[7, 9], real={number.real!r})"
    assert number == Number(half=[7, 9]) != Number(whole=1)


def test_setting_a_member_replaces_the_bytes_it_covers() -> None:
    class Uneven(Union):
        wide: u32
        low: u8

    value = Uneven(wide=0x11223344)
    value.low = 0xFF
    assert value.wide == 0x112233FF
    assert value.__replace__(low=0).wide == 0x11223300
    assert value.wide == 0x112233FF


@pytest.mark.parametrize("members", [{}, {"whole": 1, "real": 1.0}])
def test_it_is_built_from_one_member(members: dict[str, Any]) -> None:
    with pytest.raises(BpfTypeError, match="built from one of its members: whole, half, real"):
        Number(**members)


def test_bad_values_name_the_member() -> None:
    with pytest.raises(BpfValueError, match=r"Number.whole: -1 is out of range for u64"):
        Number(whole=-1)
    with pytest.raises(AttributeError, match="Number has no member nothing"):
        Number(nothing=1)
    number = Number(whole=5)
    with pytest.raises(BpfValueError, match=r"Number.half\[1\]"):
        number.half = [1, -1]
    assert number.whole == 5


def test_both_byte_orders() -> None:
    type = Number.__bpf_type__()
    for order in ("little", "big"):
        codec = codec_for(type, order)
        value = codec.decode(b"\0\0\0\1\0\0\0\2", 0)
        assert value.half == ([1 << 24, 2 << 24] if order == "little" else [1, 2])
        assert codec.encode(value) == b"\0\0\0\1\0\0\0\2"


def test_bytes_of_the_other_byte_order_are_refused() -> None:
    value = codec_for(Number.__bpf_type__(), "big").decode(bytes(8), 0)
    with pytest.raises(BpfValueError, match="big-endian bytes, and this object is little-endian"):
        codec_for(Number.__bpf_type__(), "little").encode(value)


def test_the_members_of_an_anonymous_member_are_reached_as_in_c() -> None:
    holder = Holder(id=1, word=0x04030201, last=9)
    assert holder.in_ == Word(word=0x04030201)
    assert holder.octets == b"\1\2\3\4"
    holder.octets = b"\4\3\2\1"
    assert holder.word == 0x01020304
    assert holder == Holder(1, Word(word=0x01020304), 9)
    type = Holder.__bpf_type__()
    assert [(member.name, member.offset) for member in type.members] == [("id", 0), ("", 32), ("last", 64)]


def test_only_structs_and_unions_are_anonymous() -> None:
    with pytest.raises(DeclarationError, match=r"Wrong.x: .* only a Struct or Union class has members to reach"):

        class Wrong(Struct):
            x: Anonymous[u32]


def test_names_that_python_cannot_spell() -> None:
    class Odd(Struct):
        class_: u8 = field(name="class")
        from_: u8 = field(name="from", default=3)

    assert [member.name for member in Odd.__bpf_type__().members] == ["class", "from"]
    assert Odd(class_=1).from_ == 3
    with pytest.raises(BpfTypeError, match="needs a value for class_"):
        Odd()


def test_a_flexible_member_has_any_length() -> None:
    class Message(Struct):
        count: u32
        items: Array[u16, L[0]]

    assert Message.__bpf_type__().size == 4
    assert Message(2, [1, 2]).items == [1, 2]
    assert Message(0, []).items == []
    with pytest.raises(BpfValueError, match=r"Message.items\[1\]: 65536 is out of range"):
        Message(2, [1, 65536])


def test_only_the_last_member_is_flexible() -> None:
    with pytest.raises(DeclarationError, match=r"Wrong.items: only the last member"):

        class Wrong(Struct):
            items: Array[u16, L[0]]
            count: u32


class Mode(IntEnum):
    OFF = 0
    ON = 1


def test_bitfields_of_bools_and_enums() -> None:
    class Flags(Struct):
        ok: Bits[boolean, L[1]]
        mode: Bits[u32, L[7]]
        low: Bits[s8, L[4]]

    value = codec_for(Flags.__bpf_type__(), "little").decode(b"\x03\x0f\0\0", 0)
    assert (value.ok, value.mode, value.low) == (True, 1, -1)
    assert value.ok is True


def test_a_struct_settles_what_it_is_given() -> None:
    class Outer(Struct):
        mode: Mode
        holder: Holder

    value = Outer(1, {"id": 1, "word": 2, "last": 3})  # type: ignore[arg-type]
    assert value.mode is Mode.ON
    assert value.holder == Holder(1, Word(word=2), 3)
    type = codec_for(Outer.__bpf_type__(), "little")
    assert type.decode(type.encode(value), 0) == value


def test_json_both_ways() -> None:
    adapter = TypeAdapter(Holder)
    holder = Holder(id=1, word=7, last=2)
    assert adapter.validate_json(adapter.dump_json(holder)) == holder
    assert adapter.validate_python({"id": 1, "in_": {"octets": b"\7\0\0\0"}, "last": 2}) == holder
    with pytest.raises(ValidationError, match="built from one of its members"):
        adapter.validate_python({"id": 1, "in_": {}, "last": 2})


def test_a_union_is_lowered_as_c_lays_it_out() -> None:
    type = Number.__bpf_type__()
    assert isinstance(type, kinds.Union)
    assert (type.size, [member.offset for member in type.members]) == (8, [0, 0, 0])


def test_bitfields_in_a_union() -> None:
    class Mixed(Union):
        low: Bits[s8, L[7]]
        whole: u32

    value = Mixed(low=-3)
    assert (value.low, value.whole) == (-3, 125)
    value.whole = 0xFFFFFFFF
    value.low = 0
    assert value.whole == 0xFFFFFF80
    with pytest.raises(BpfValueError, match=r"Mixed.low: 64 is out of range for a bitfield of 7 bits"):
        Mixed(low=64)
    big = codec_for(Mixed.__bpf_type__(), "big").decode(b"\xfa\0\0\0", 0)
    assert big.low == -3


def test_the_largest_member_stands_for_a_union_in_json() -> None:
    class Uneven(Union):
        small: u8
        large: u64

    adapter = TypeAdapter(Uneven)
    assert adapter.dump_json(Uneven(large=0x1234)) == b'{"large":4660}'
    assert adapter.validate_json(adapter.dump_json(Uneven(large=0x1234))) == Uneven(large=0x1234)


def test_flexible_structs_leave_no_generated_code_behind() -> None:
    import linecache

    class Message(Struct):
        count: u32
        items: Array[u16, L[0]]

    before = len(linecache.cache)
    for number in range(50):
        assert Message(number, [1] * number).items == [1] * number
    assert len(linecache.cache) <= before + 1
