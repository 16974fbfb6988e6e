"""Codecs of numbers: integers of all widths, bool, floats, enums."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from ..btf import kinds
from ..btf.parse import ByteOrder
from ..errors import BpfTypeError, BpfValueError, SourceError, shown
from .base import Buffer, Codec

INTS = {(1, False): "B", (2, False): "H", (4, False): "I", (8, False): "Q",
        (1, True): "b", (2, True): "h", (4, True): "i", (8, True): "q"}  # fmt: skip
FLOATS = {2: "e", 4: "f", 8: "d"}


def mark(order: ByteOrder) -> str:
    """Return how `struct` writes a byte order."""
    return "<" if order == "little" else ">"


def bounds(size: int, signed: bool) -> tuple[int, int]:
    """Return the least and the greatest integer of `size` bytes."""
    return bit_bounds(size * 8, signed)


def bit_bounds(bits: int, signed: bool) -> tuple[int, int]:
    """Return the least and the greatest integer of `bits` bits."""
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


def refuse_number(value: Any, name: str, low: int, high: int) -> BpfValueError:
    """Make the error for a number that does not fit, or for what is no number."""
    if not hasattr(value, "__index__"):
        return BpfTypeError(f"{shown(value)} is no integer, and {name} takes one from {low} to {high}")
    return BpfValueError(f"{shown(value)} is out of range for {name} ({low} to {high})")


def native(letter: str, order: ByteOrder) -> str:
    """Return the letter if this machine has the byte order, so that memoryview can read it by itself; else nothing."""
    return letter if struct.pack("=H", 1) == struct.pack(mark(order) + "H", 1) else ""


def int_codec(name: str, size: int, signed: bool, order: ByteOrder) -> Codec:
    """Make the codec of an integer."""
    low, high = bounds(size, signed)
    if size == 16:

        def decode_wide(buffer: Buffer, offset: int) -> int:
            return int.from_bytes(buffer[offset : offset + 16], order, signed=signed)

        def encode_wide(value: Any) -> bytes:
            try:
                return int.to_bytes(value.__index__(), 16, order, signed=signed)
            except (AttributeError, OverflowError, TypeError):
                raise refuse_number(value, name, low, high) from None

        return Codec(16, decode_wide, encode_wide)
    packer = struct.Struct(mark(order) + INTS[size, signed])
    unpack, pack = packer.unpack_from, packer.pack

    def decode(buffer: Buffer, offset: int) -> int:
        return unpack(buffer, offset)[0]  # type: ignore[no-any-return]

    def encode(value: Any) -> bytes:
        try:
            return pack(value)
        except struct.error:
            raise refuse_number(value, name, low, high) from None

    return Codec(size, decode, encode, native(INTS[size, signed], order))


def bool_codec(size: int, order: ByteOrder) -> Codec:
    """Make the codec of C's bool, which is one byte; what calls itself bool in BTF may be wider."""
    false, true = bytes(size), (1).to_bytes(size, order)

    def encode(value: Any) -> bytes:
        if value is True or value is False:
            return true if value else false
        raise BpfTypeError(f"{shown(value)} is no bool: give True or False")

    # Without a format, though memoryview has "?": it would take any object as a truth value when written.
    if size == 1:
        return Codec(1, lambda buffer, offset: buffer[offset] != 0, encode)
    return Codec(size, lambda buffer, offset: buffer[offset : offset + size] != false, encode)


def float_codec(type: kinds.Float, name: str, order: ByteOrder) -> Codec:
    """Make the codec of a floating point number.

    Raises:
        SourceError: Python has no number of that width.
    """
    if type.size not in FLOATS:
        raise SourceError(f"{name} has {type.size} bytes, and no Python value")
    packer = struct.Struct(mark(order) + FLOATS[type.size])
    unpack, pack = packer.unpack_from, packer.pack

    def encode(value: Any) -> bytes:
        try:
            return pack(value)
        except OverflowError:
            raise BpfValueError(f"{shown(value)} is out of range for {name}") from None
        except struct.error:
            if isinstance(value, int):  # too large even for Python's own float
                raise BpfValueError(f"{shown(value)} is out of range for {name}") from None
            raise BpfTypeError(f"{shown(value)} is no number, and {name} takes one") from None

    # Not for "f": memoryview would store what is out of range as infinity.
    letter = native("d", order) if type.size == 8 else ""
    return Codec(type.size, lambda buffer, offset: unpack(buffer, offset)[0], encode, letter)


def enum_codec(type: kinds.Enum, name: str, order: ByteOrder) -> Codec:
    """Make the codec of an enum: members of its Python class, and ints for what the class does not name."""
    plain = int_codec(name, type.size, type.signed, order)
    if type.python is None:
        return plain
    member = enum_member(type.python)
    return Codec(type.size, lambda buffer, offset: member(plain.decode(buffer, offset)), plain.encode)


def enum_member(cls: Any) -> Callable[[int], Any]:
    """Return the function that turns a number into an enum's member, or leaves it a number: programs may store any."""

    def member(value: int) -> Any:
        try:
            return cls(value)
        except ValueError:
            return value

    return member


def bit_value(type: kinds.Type) -> Callable[[int], Any]:
    """Return what makes the value of a bitfield of the number in its bits: a bool, an enum's member, or itself."""
    bare = kinds.strip(type)
    if isinstance(bare, kinds.Int) and bare.is_bool:
        return bool
    if isinstance(bare, kinds.Enum) and bare.python is not None:
        return enum_member(bare.python)
    return int
