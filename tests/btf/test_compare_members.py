"""Structs are compared member by member: one slip gives one difference, and its path leads there."""

from __future__ import annotations

from typing import Any  # fmt: skip
from typing import Literal as L

import pytest
from support.data import testdata

from bpfmodel import Array, Bits, Bytes, CollectionSpec, CString, Struct, boolean, f64, s32, s64, u8, u16, u32, u64
from bpfmodel.btf import kinds
from bpfmodel.btf.compare import compare
from bpfmodel.types.lowering import lower

SCALARS = CollectionSpec.from_file(testdata("scalars"))
MAPS = CollectionSpec.from_file(testdata("maps"))


def stats() -> kinds.Type:
    type = SCALARS.variables["stats"].type
    assert type is not None
    return type


def told(annotation: Any, type: kinds.Type | None) -> list[tuple[str, str, str]]:
    assert type is not None
    return [tuple(difference) for difference in compare(lower(annotation), type)]


class Swapped(Struct):
    bytes: u64
    packets: u64
    drops: u32
    mode: u8


class Narrow(Struct):
    packets: u32
    bytes: u64
    drops: u32
    mode: u8


class Signed(Struct):
    packets: s64
    bytes: u64
    drops: u32
    mode: u8


class Missing(Struct):
    packets: u64
    drops: u32
    mode: u8


class MissingLast(Struct):
    packets: u64
    bytes: u64
    drops: u32


class Extra(Struct):
    packets: u64
    bytes: u64
    drops: u32
    mode: u8
    more: u8


class Misspelt(Struct):
    packets: u64
    byts: u64
    drops: u32
    mode: u8


class Renamed(Struct):
    packets: u64
    bytes: u64
    lost: u32
    mode: u8


class Packed(Struct, packed=True):
    packets: u64
    bytes: u64
    drops: u32
    mode: u8


class Shifted(Struct):
    packets: u64
    bytes: u64
    pad: u32
    drops: u32
    mode: u8


class Two(Struct):
    packets: f64
    bytes: u64
    drops: u32
    mode: boolean


class Pieces(Struct):
    packets: u64
    bytes: u64
    drops: Bits[u32, L[31]]
    mode: u8


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (Swapped, [(".packets", "declared at offset 8, found at offset 0", "")]),
        (Narrow, [(".packets", "declared u32 (4 bytes), found __u64 (8 bytes)", "")]),
        (Signed, [(".packets", "declared s64 (8 bytes), found __u64 (8 bytes)", "it is unsigned; declare u64")]),
        (Missing, [(".bytes", "not declared, found __u64 (8 bytes) at offset 8", "add bytes: u64")]),
        (MissingLast, [(".mode", "not declared, found __u8 (1 byte) at offset 20", "add mode: u8")]),
        (Extra, [(".more", "no such member in struct stats", "")]),
        (Misspelt, [(".byts", "no such member; at offset 8 lies bytes", "")]),
        (Renamed, [(".lost", "no such member; at offset 16 lies drops", "")]),
        (Packed, [("", "declared 21 bytes, found 24 bytes", "every member matches: alignment differs")]),
        (Shifted, [
            (".drops", "declared at offset 20, found at offset 16", ""),
            (".pad", "no such member in struct stats", ""),
        ]),
        (Two, [
            (".packets", "declared f64 (8 bytes), found __u64 (8 bytes)", "declare u64"),
            (".mode", "declared bool (1 byte), found __u8 (1 byte)", "one is bool, the other an integer; declare u8"),
        ]),
        (Pieces, [(".drops", "declared a bitfield of 31 bits, found __u32 (4 bytes)", "")]),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)  # fmt: skip
def test_flat(cls: Any, expected: list[tuple[str, str, str]]) -> None:
    assert told(cls, stats()) == expected


# Bitfields


class Whole(Struct):
    a: u8
    full: u32


class Wider(Struct):
    a: Bits[u32, L[3]]
    b: Bits[u32, L[5]]
    c: Bits[s32, L[8]]
    d: Bits[u64, L[40]]
    full: u32


class Unsigned(Struct):
    a: Bits[u32, L[3]]
    b: Bits[u32, L[5]]
    c: Bits[u32, L[7]]
    d: Bits[u64, L[40]]
    full: u32


class Order(Struct):
    b: Bits[u32, L[5]]
    a: Bits[u32, L[3]]
    c: Bits[s32, L[7]]
    d: Bits[u64, L[40]]
    full: u32


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (Wider, [(".c", "declared a bitfield of 8 bits, found a bitfield of 7 bits", "")]),
        (Unsigned, [(".c", "declared u32 (4 bytes), found __s32 (4 bytes)", "it is signed; declare s32")]),
        (Order, [(".a", "declared at bit 5, found at offset 0", "")]),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_bitfields(cls: Any, expected: list[tuple[str, str, str]]) -> None:
    assert told(cls, SCALARS.variables["bits"].type) == expected


def test_an_ordinary_member_where_a_bitfield_lies() -> None:
    first = told(Whole, SCALARS.variables["bits"].type)[0]
    assert first == (".a", "declared u8 (1 byte), found a bitfield of 3 bits", "")


# Paths


class Point(Struct):
    x: s32
    y: u32


class Event(Struct):
    stamp: u64
    kind: u32
    comm: CString[L[15]]


class Inner(Struct):
    value: u16


def test_a_path_through_an_array() -> None:
    at = kinds.Array(kinds.Struct("point", 8, [_member("x", 0), _member("y", 32)]), 2)
    assert told(Array[Point, L[2]], at) == [
        ("[].y", "declared u32 (4 bytes), found int (4 bytes)", "it is signed; declare s32")
    ]


def _member(name: str, offset: int) -> kinds.Member:
    return kinds.Member(name, kinds.Int("int", 4, kinds.SIGNED), offset)


def test_a_path_into_an_array_of_another_length() -> None:
    """A wrong length is told alone: the elements are another matter."""
    at = kinds.Array(kinds.Struct("point", 8, [_member("x", 0), _member("y", 32)]), 3)
    assert told(Array[Point, L[2]], at) == [
        ("", "declared struct Point[2] (16 bytes), found struct point[3] (24 bytes)", "")
    ]


def test_a_path_through_structs_and_arrays() -> None:
    class Middle(Struct):
        points: Array[Point, L[2]]

    class Outer(Struct):
        id: u64
        middle: Array[Middle, L[1]]

    point = kinds.Struct("point", 8, [_member("x", 0), _member("y", 32)])
    middle = kinds.Struct("middle", 16, [kinds.Member("points", kinds.Array(point, 2), 0)])
    outer = kinds.Struct(
        "outer", 24,
        [kinds.Member("id", kinds.Int("u64", 8), 0), kinds.Member("middle", kinds.Array(middle, 1), 64)],
    )  # fmt: skip
    assert [path for path, _, _ in told(Outer, outer)] == [".middle[].points[].y"]


def test_a_length_in_a_member() -> None:
    assert told(Event, MAPS.maps["ring"].value) == [
        (".comm", "declared char[15] (15 bytes), found char[16] (16 bytes)", "declare CString[L[16]]")
    ]


def test_anonymous_members_are_reached_by_their_names() -> None:
    class Nested(Struct):
        word: u32

    hidden = kinds.Union("", 4, [kinds.Member("word", kinds.Int("u32", 4), 0)])
    assert told(Nested, kinds.Struct("outer", 4, [kinds.Member("", hidden, 0)])) == []


def test_typedefs_and_qualifiers_around_members_are_transparent() -> None:
    class Holder(Struct):
        inner: Inner

    inner = kinds.Struct("inner", 2, [kinds.Member("value", kinds.Const("", kinds.Int("short", 2)), 0)])
    member = kinds.Member("inner", kinds.Typedef("inner_t", kinds.Volatile("", inner)), 0)
    assert told(Holder, kinds.Typedef("holder_t", kinds.Struct("", 2, [member]))) == []


def test_an_empty_struct_has_none_of_the_members() -> None:
    assert told(Inner, kinds.Struct("empty", 0, ())) == [(".value", "no such member in struct empty", "")]


def test_a_close_name_elsewhere_is_suggested() -> None:
    class Close(Struct):
        pakets: u32
        rest: Bytes[L[20]]

    assert (".pakets", "no such member in struct stats", "a close match is packets") in told(Close, stats())


def test_offsets_past_a_flexible_array() -> None:
    class Flexible(Struct):
        count: u32

    spec = CollectionSpec.from_file(testdata("zero"))
    found = told(Flexible, spec.variables["flexible"].type)
    assert [path for path, _, _ in found] == [".items"]
