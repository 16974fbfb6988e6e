"""Scalars: round trips at the bounds in both byte orders, and refusals that name the C type and its bounds."""

from __future__ import annotations

import enum
import math
import struct
from typing import Annotated, Any

import pytest

from bpfmodel import (  # fmt: skip
    BpfTypeError,
    BpfValueError,
    SourceError,
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
from bpfmodel.btf.parse import ByteOrder
from bpfmodel.types.base import Codec
from bpfmodel.types.codec import codec_for
from bpfmodel.types.lowering import lower

ORDERS: tuple[ByteOrder, ...] = ("little", "big")
orders = pytest.mark.parametrize("order", ORDERS)

INTS = {
    "u8": (u8, 1, False), "u16": (u16, 2, False), "u32": (u32, 4, False), "u64": (u64, 8, False),
    "u128": (u128, 16, False), "s8": (s8, 1, True), "s16": (s16, 2, True), "s32": (s32, 4, True),
    "s64": (s64, 8, True), "s128": (s128, 16, True), "void *": (pointer, 8, False),
}  # fmt: skip
ints = pytest.mark.parametrize("name", INTS)


def bounds(name: str) -> tuple[int, int]:
    _, size, signed = INTS[name]
    return (-(2 ** (8 * size - 1)), 2 ** (8 * size - 1) - 1) if signed else (0, 2 ** (8 * size) - 1)


def codec(annotation: Any, order: ByteOrder = "little") -> Codec:
    return codec_for(lower(annotation), order)


@orders
@ints
def test_integer_round_trip(name: str, order: ByteOrder) -> None:
    annotation, size, signed = INTS[name]
    made = codec(annotation, order)
    low, high = bounds(name)
    assert made.size == size
    for value in {low, low + 1, -1 if signed else 1, 0, 1, 0x7F, high - 1, high}:
        raw = made.encode(value)
        assert raw == value.to_bytes(size, order, signed=signed)
        assert made.decode(raw, 0) == value
        assert made.decode(b"\xaa" + raw + b"\xbb", 1) == value, "with neighbours"
        assert made.decode(memoryview(bytearray(raw)), 0) == value


@orders
@ints
def test_integer_out_of_range(name: str, order: ByteOrder) -> None:
    annotation, _, _ = INTS[name]
    low, high = bounds(name)
    for value in (low - 1, high + 1, 10**60, -(10**60)):
        with pytest.raises(BpfValueError) as caught:
            codec(annotation, order).encode(value)
        shown = name
        assert str(caught.value) == f"{value} is out of range for {shown} ({low} to {high})"
        assert not isinstance(caught.value, TypeError)


@ints
@pytest.mark.parametrize("value", [1.0, "1", None, b"\1", [1], {}, math.nan, object(), 1j])
def test_no_integer(name: str, value: Any) -> None:
    annotation, _, _ = INTS[name]
    low, high = bounds(name)
    with pytest.raises(BpfTypeError) as caught:
        codec(annotation).encode(value)
    assert str(caught.value) == f"{value!r} is no integer, and {name} takes one from {low} to {high}"
    assert isinstance(caught.value, TypeError) and isinstance(caught.value, ValueError)


def test_what_counts_as_an_integer() -> None:
    class Index:
        def __index__(self) -> int:
            return 7

    for annotation in (u8, u128):
        assert codec(annotation).decode(codec(annotation).encode(Index()), 0) == 7


@orders
def test_bool(order: ByteOrder) -> None:
    made = codec(boolean, order)
    assert made.size == 1
    assert (made.encode(False), made.encode(True)) == (b"\0", b"\1")
    assert made.decode(b"\0", 0) is False
    for byte in (b"\1", b"\2", b"\xff"):
        assert made.decode(byte, 0) is True


@pytest.mark.parametrize("value", [0, 1, 2, "", "yes", None, 1.0, [], b"\1"])
def test_bool_is_strict(value: Any) -> None:
    with pytest.raises(BpfTypeError, match="is no bool: give True or False"):
        codec(bool).encode(value)


def test_bool_has_no_format() -> None:
    """memoryview.cast("?") would store any object's truth value."""
    assert codec(bool).format == ""


def test_a_bool_of_four_bytes_takes_four_bytes_or_is_refused() -> None:
    """clang makes none, but BTF can say it; one byte of the four would be silently wrong on big-endian machines."""
    wide = kinds.Int("bool32", 4, kinds.BOOL)
    try:
        made = codec_for(wide, "big")
    except SourceError:
        return
    assert made.size == 4
    assert made.decode(b"\0\0\0\1", 0) is True


@orders
@pytest.mark.parametrize("value", [0.0, -0.0, 1.5, -2.25, math.inf, -math.inf, 3.4028234663852886e38, 1e-45])
def test_single_precision(value: float, order: ByteOrder) -> None:
    made = codec(f32, order)
    raw = made.encode(value)
    assert raw == struct.pack(("<" if order == "little" else ">") + "f", value)
    assert math.copysign(1, made.decode(raw, 0)) == math.copysign(1, value)
    assert made.decode(raw, 0) == pytest.approx(value, rel=1e-6)


@orders
@pytest.mark.parametrize("value", [0.0, 0.1, -1e308, 5e-324, math.inf, math.pi])
def test_double_precision(value: float, order: ByteOrder) -> None:
    made = codec(f64, order)
    assert made.decode(made.encode(value), 0) == value
    assert made.encode(value) == struct.pack(("<" if order == "little" else ">") + "d", value)


@pytest.mark.parametrize("annotation", [f32, f64])
def test_not_a_number(annotation: Any) -> None:
    made = codec(annotation)
    assert math.isnan(made.decode(made.encode(math.nan), 0))
    assert made.decode(made.encode(3), 0) == 3.0, "an int is a number"


@pytest.mark.parametrize(("annotation", "name", "value"), [(f32, "f32", 1e39), (f32, "f32", -1e300),
                                                           (f64, "f64", 10**400), (f32, "f32", 10**400)],
                         ids=["f32", "f32-negative", "f64", "f32-int"])  # fmt: skip
def test_float_out_of_range(annotation: Any, name: str, value: float) -> None:
    with pytest.raises(BpfValueError, match=f"out of range for {name}"):
        codec(annotation).encode(value)


@pytest.mark.parametrize("value", ["1.0", None, b"", [1.0], 1j])
@pytest.mark.parametrize("annotation", [f32, f64])
def test_no_float(annotation: Any, value: Any) -> None:
    with pytest.raises(BpfTypeError, match="is no number, and f"):
        codec(annotation).encode(value)


@orders
def test_half_precision_of_an_object(order: ByteOrder) -> None:
    made = codec_for(kinds.Float("_Float16", 2), order)
    assert made.decode(made.encode(1.5), 0) == 1.5


@pytest.mark.parametrize("size", [12, 16])
def test_floats_that_python_lacks(size: int) -> None:
    with pytest.raises(SourceError, match=f"long double has {size} bytes, and no Python value"):
        codec_for(kinds.Float("long double", size), "little")


# Enums


class Mode(enum.IntEnum):
    OFF = 0
    AUTO = 7


class Level(enum.IntEnum):
    LOW = -3
    HIGH = 3


class Flags(enum.IntFlag):
    A = 1
    B = 2
    TOP = 1 << 31


class Strict(enum.IntFlag, boundary=enum.STRICT):
    A = 1
    B = 2


@orders
@pytest.mark.parametrize(
    ("annotation", "value", "size"),
    [
        (Mode, Mode.AUTO, 4), (Level, Level.LOW, 4), (Flags, Flags.A | Flags.TOP, 4), (Strict, Strict.A | Strict.B, 4),
        (Annotated[Mode, u8], Mode.AUTO, 1), (Annotated[Level, s16], Level.LOW, 2), (Annotated[Mode, u64], Mode.OFF, 8),
    ],
)  # fmt: skip
def test_enum_members(annotation: Any, value: enum.IntEnum, size: int, order: ByteOrder) -> None:
    made = codec(annotation, order)
    raw = made.encode(value)
    assert raw == int(value).to_bytes(size, order, signed=value < 0)
    back = made.decode(raw, 0)
    assert back == value and type(back) is type(value)


def test_a_value_outside_the_enum_stays_an_int() -> None:
    assert type(codec(Mode).decode(codec(Mode).encode(5), 0)) is int
    assert codec(Strict).decode(codec(Strict).encode(64), 0) == 64
    assert codec(Flags).decode(codec(Flags).encode(64 | 1), 0) == 65


def test_enum_out_of_range() -> None:
    with pytest.raises(BpfValueError, match=r"-1 is out of range for enum Mode \(0 to 4294967295\)"):
        codec(Mode).encode(-1)
    with pytest.raises(BpfTypeError, match="'AUTO' is no integer, and enum Mode takes one"):
        codec(Mode).encode("AUTO")
    with pytest.raises(BpfValueError, match=r"256 is out of range for enum Mode \(0 to 255\)"):
        codec(Annotated[Mode, u8]).encode(256)


@pytest.mark.parametrize("order", ORDERS)
def test_a_format_is_only_given_for_this_machine(order: ByteOrder) -> None:
    """What memoryview.cast reads by itself must come out as decode reads it."""
    for annotation in (u8, u16, u32, u64, s8, s16, s32, s64, f32, f64, pointer, bool, Mode):
        made = codec(annotation, order)
        if made.format:
            raw = made.encode(1)
            assert memoryview(raw).cast(made.format)[0] == made.decode(raw, 0) == 1


@pytest.mark.parametrize("type", [kinds.VOID, kinds.Fwd("x", False), kinds.FuncProto(kinds.VOID, ())])
def test_types_without_values(type: kinds.Type) -> None:
    with pytest.raises(SourceError, match="has no values"):
        codec_for(type, "little")
