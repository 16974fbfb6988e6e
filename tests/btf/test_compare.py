"""Comparing: what matches says nothing, and each near miss is told once, with its path."""

from __future__ import annotations

import enum
from typing import Annotated, Any  # fmt: skip
from typing import Literal as L

import pytest
from support.data import testdata

from bpfmodel import (  # fmt: skip
    Align,
    Array,
    Bits,
    Bytes,
    CollectionSpec,
    CString,
    Struct,
    boolean,
    f32,
    f64,
    pointer,
    s8,
    s16,
    s32,
    s64,
    s128,
    u8,
    u16,
    u32,
    u64,
    u128,
)
from bpfmodel.btf import kinds
from bpfmodel.btf.compare import compare, reachable, spell
from bpfmodel.types.lowering import lower

SCALARS = CollectionSpec.from_file(testdata("scalars"))
ENUM64 = CollectionSpec.from_file(testdata("enum64"))
BIG = CollectionSpec.from_file(testdata("bigendian"))


def found(name: str, spec: CollectionSpec = SCALARS) -> kinds.Type:
    type = spec.variables[name].type
    assert type is not None
    return type


def told(annotation: Any, type: kinds.Type) -> list[tuple[str, str, str]]:
    return [tuple(difference) for difference in compare(lower(annotation), type)]


class Mode(enum.IntEnum):
    MODE_OFF = 0
    MODE_ON = 1
    MODE_AUTO = 7


class Level(enum.IntEnum):
    LEVEL_LOW = -3
    LEVEL_ZERO = 0
    LEVEL_HIGH = 3


class Tiny(enum.IntEnum):
    TINY_A = 1
    TINY_B = 2


class Wide(enum.IntEnum):
    WIDE_NONE = 0
    WIDE_BIG = 1 << 40
    WIDE_ALL = (1 << 64) - 1


class WideSigned(enum.IntEnum):
    WIDE_MIN = -(1 << 40)
    WIDE_ZERO = 0
    WIDE_MAX = 1 << 40


class Stats(Struct):
    packets: u64
    bytes: u64
    drops: u32
    mode: u8


class BitFields(Struct):
    a: Bits[u32, L[3]]
    b: Bits[u32, L[5]]
    c: Bits[s32, L[7]]
    d: Bits[u64, L[40]]
    full: u32


class BigBits(Struct):
    a: Bits[u32, L[3]]
    b: Bits[u32, L[5]]
    c: Bits[s32, L[7]]
    d: Bits[u64, L[40]]


class Wire(Struct, packed=True):
    kind: u8
    seq: u32
    len: u16


class Point(Struct):
    x: s32
    y: s32


MATCHES: dict[str, list[Any]] = {
    "u8_var": [u8, int, Any],
    "u16_var": [u16, int],
    "u32_var": [u32, int],
    "u64_var": [u64, int],
    "s8_var": [s8, int],
    "s16_var": [s16],
    "s32_var": [s32],
    "s64_var": [s64],
    "u128_var": [u128, int],
    "s128_var": [s128, int],
    "bool_var": [bool, boolean, Any],
    "float_var": [f32, float],
    "double_var": [f64, float],
    "char_var": [s8, int],
    "mode_var": [Mode, u32, s32, int],
    "level_var": [Level, u32, s32, int],
    "tiny_var": [Annotated[Tiny, u8], u8, int],
    "msg": [CString[L[13]], str, list, bytes, Any, Bytes[L[13]], Array[s8, L[13]]],
    "mac": [Bytes[L[6]], Array[u8, L[6]], bytes, list],
    "arr": [Array[u32, L[4]], list],
    "matrix": [Array[Array[u64, L[3]], L[2]], list],
    "flags": [Array[bool, L[3]], Array[boolean, L[3]], list],
    "stats": [Stats, Any, bytes],
    "bits": [BitFields],
    "wire": [Wire, bytes],
    "ptr_var": [pointer, int],
    "function_ptr": [pointer],
    "restrict_ptr": [pointer],
    "chained_var": [u32, int],
    "tagged_var": [u32],
    "number": [bytes, Any],
    "ro_chained": [u32],
    "ro_arr": [Array[u32, L[4]]],
    "ro_bits": [BitFields],
}


@pytest.mark.parametrize(("name", "annotation"), [(name, a) for name, all in MATCHES.items() for a in all])
def test_match(name: str, annotation: Any) -> None:
    assert told(annotation, found(name)) == []


@pytest.mark.parametrize(
    ("name", "annotation"), [("wide_var", Wide), ("wide_signed_var", WideSigned), ("wide_var", u64)]
)
def test_wide_enums_match(name: str, annotation: Any) -> None:
    assert told(annotation, found(name, ENUM64)) == []


def test_big_endian_types_match() -> None:
    assert told(u32, found("u32_var", BIG)) == []
    assert told(BigBits, found("bits", BIG)) == []
    assert told(Mode, found("mode_var", BIG)) == []


# Equal size alone never makes two types match.

NEAR: list[tuple[str, Any, str, str]] = [
    ("u8_var", s8, "declared s8 (1 byte), found __u8 (1 byte)", "it is unsigned; declare u8"),
    ("u8_var", bool, "declared bool (1 byte), found __u8 (1 byte)", "one is bool, the other an integer; declare u8"),
    ("u16_var", u32, "declared u32 (4 bytes), found __u16 (2 bytes)", ""),
    ("u32_var", f32, "declared f32 (4 bytes), found __u32 (4 bytes)", "declare u32"),
    ("u32_var", Mode, "declared enum Mode (4 bytes), found __u32 (4 bytes)", "declare u32"),
    ("u64_var", f64, "declared f64 (8 bytes), found __u64 (8 bytes)", "declare u64"),
    ("u64_var", pointer, "declared void * (8 bytes), found __u64 (8 bytes)", "declare u64"),
    ("s64_var", u64, "declared u64 (8 bytes), found __s64 (8 bytes)", "it is signed; declare s64"),
    ("u128_var", s128, "declared s128 (16 bytes), found unsigned __int128 (16 bytes)", "it is unsigned; declare u128"),
    ("bool_var", u8, "declared u8 (1 byte), found _Bool (1 byte)",
     "one is bool, the other an integer; declare boolean"),
    ("float_var", u32, "declared u32 (4 bytes), found float (4 bytes)", "declare f32"),
    ("float_var", f64, "declared f64 (8 bytes), found float (4 bytes)", "declare f32"),
    ("double_var", u64, "declared u64 (8 bytes), found double (8 bytes)", "declare f64"),
    ("ptr_var", u64, "declared u64 (8 bytes), found void * (8 bytes)", "declare pointer"),
    ("char_var", u8, "declared u8 (1 byte), found char (1 byte)", "it is signed; declare s8"),
    ("mode_var", u64, "declared u64 (8 bytes), found enum mode (4 bytes)", ""),
    ("mode_var", bool, "declared bool (1 byte), found enum mode (4 bytes)", ""),
    ("mode_var", f32, "declared f32 (4 bytes), found enum mode (4 bytes)", ""),
    ("tiny_var", Tiny, "declared enum Tiny (4 bytes), found enum tiny (1 byte)", ""),
    ("tiny_var", bool, "declared bool (1 byte), found enum tiny (1 byte)", ""),
    ("msg", CString[L[12]], "declared char[12] (12 bytes), found char[13] (13 bytes)", "declare CString[L[13]]"),
    ("msg", u8, "declared u8 (1 byte), found char[13] (13 bytes)", "declare CString[L[13]]"),
    ("mac", CString[L[6]], "declared char[6] (6 bytes), found unsigned char[6] (6 bytes)",
     "declare Bytes[L[6]]"),
    ("mac", Bytes[L[5]], "declared u8[5] (5 bytes), found unsigned char[6] (6 bytes)", "declare Bytes[L[6]]"),
    ("arr", Array[u32, L[5]], "declared u32[5] (20 bytes), found __u32[4] (16 bytes)", "declare Array[u32, L[4]]"),
    ("arr", Array[u64, L[2]], "declared u64[2] (16 bytes), found __u32[4] (16 bytes)", "declare Array[u32, L[4]]"),
    ("arr", Array[s32, L[4]], "declared s32[4] (16 bytes), found __u32[4] (16 bytes)", "declare Array[u32, L[4]]"),
    ("arr", Bytes[L[16]], "declared u8[16] (16 bytes), found __u32[4] (16 bytes)", "declare Array[u32, L[4]]"),
    ("flags", Bytes[L[3]], "declared u8[3] (3 bytes), found _Bool[3] (3 bytes)", "declare Array[boolean, L[3]]"),
    ("matrix", Array[u64, L[6]], "declared u64[6] (48 bytes), found __u64[2][3] (48 bytes)",
     "declare Array[Array[u64, L[3]], L[2]]"),
    ("matrix", Array[Array[u64, L[2]], L[3]], "declared u64[3][2] (48 bytes), found __u64[2][3] (48 bytes)",
     "declare Array[Array[u64, L[3]], L[2]]"),
    ("stats", u64, "declared u64 (8 bytes), found struct stats (24 bytes)", ""),
    ("u64_var", Stats, "declared struct Stats (24 bytes), found __u64 (8 bytes)", "declare u64"),
    ("number", Point, "declared struct Point (8 bytes), found union number (8 bytes)", ""),
    # Loose annotations take what converts, and nothing else.
    ("bool_var", int, "declared int, found _Bool (1 byte)", "int does not convert to it"),
    ("float_var", int, "declared int, found float (4 bytes)", "int does not convert to it"),
    ("u32_var", float, "declared float, found __u32 (4 bytes)", "float does not convert to it"),
    ("mac", str, "declared str, found unsigned char[6] (6 bytes)", "str does not convert to it"),
    ("arr", bytes, "declared bytes, found __u32[4] (16 bytes)", "bytes does not convert to it"),
    ("flags", bytes, "declared bytes, found _Bool[3] (3 bytes)", "bytes does not convert to it"),
    ("u32_var", list, "declared list, found __u32 (4 bytes)", "list does not convert to it"),
    ("stats", int, "declared int, found struct stats (24 bytes)", "int does not convert to it"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "annotation", "message", "hint"), NEAR)
def test_near_miss(name: str, annotation: Any, message: str, hint: str) -> None:
    assert told(annotation, found(name)) == [("", message, hint)]


STRICT = {"u8_var": u8, "u16_var": u16, "u32_var": u32, "u64_var": u64, "u128_var": u128, "s8_var": s8,
          "s16_var": s16, "s32_var": s32, "s64_var": s64, "s128_var": s128, "bool_var": boolean,
          "float_var": f32, "double_var": f64, "ptr_var": pointer}  # fmt: skip


@pytest.mark.parametrize("name", STRICT)
def test_a_scalar_matches_its_own_annotation_only(name: str) -> None:
    assert [other for other, annotation in STRICT.items() if told(annotation, found(name)) == []] == [name]


@pytest.mark.parametrize("name", [name for name in SCALARS.variables if spell(found(name))])
def test_what_is_suggested_matches(name: str) -> None:
    suggestion = eval(spell(found(name)), dict(globals()))
    assert told(suggestion, found(name)) == []


# Enums


class Renamed(enum.IntEnum):
    MODE_OFF = 0
    MODE_ONN = 1


class Changed(enum.IntEnum):
    MODE_OFF = 0
    MODE_ON = 2
    MODE_AUTO = 8


class Some(enum.IntEnum):
    MODE_AUTO = 7


class Foreign(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (Some, []),
        (Renamed, [(".MODE_ONN", "declared 1, no such enumerator in enum mode", "a close match is MODE_ON")]),
        (Changed, [(".MODE_ON", "declared 2, found 1", ""), (".MODE_AUTO", "declared 8, found 7", "")]),
        (Foreign, [(".RED", "declared 1, no such enumerator in enum mode", "")]),
    ],
)
def test_every_declared_enumerator_is_there(cls: Any, expected: list[tuple[str, str, str]]) -> None:
    assert told(cls, found("mode_var")) == expected


def test_an_enum_of_another_sign() -> None:
    class Positive(enum.IntEnum):
        WIDE_ZERO = 0
        WIDE_MAX = 1 << 40

    expected = [("", "declared unsigned, found a signed enum wide_signed", "")]
    assert told(Positive, found("wide_signed_var", ENUM64)) == expected


def test_reachable_members_of_anonymous_ones() -> None:
    nested = kinds.strip(found("nested"))
    assert isinstance(nested, kinds.Composite)
    places = {member.name: member.offset // 8 for member in reachable(nested)}
    assert places == {"id": 0, "at": 4, "as": 24, "word": 32, "octets": 32, "mode": 36, "ready": 40}


def test_an_alignment_that_moves_nothing_but_the_size() -> None:
    class Aligned(Struct):
        packets: u64
        bytes: u64
        drops: u32
        mode: Annotated[u8, Align(4)]

    class Bigger(Struct, align=16):
        packets: u64
        bytes: u64
        drops: u32
        mode: u8

    assert told(Aligned, found("stats")) == []
    expected = [("", "declared 32 bytes, found 24 bytes", "every member matches: alignment differs")]
    assert told(Bigger, found("stats")) == expected
