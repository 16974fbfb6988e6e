"""Bitfields: numbers in some of the bits of the bytes that hold them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..btf import kinds
from ..btf.parse import ByteOrder
from .numbers import bit_bounds, bit_value, refuse_number


class Bitfield(NamedTuple):
    """Where a bitfield lies, and what its value is."""

    offset: int
    """The first of the bytes that hold it."""
    span: int
    """How many bytes hold it."""
    shift: int
    width: int
    signed: bool
    order: ByteOrder
    value: Callable[[int], Any]
    """Makes the value of the number in the bits."""

    @classmethod
    def at(cls, type: kinds.Type, offset: int, width: int, order: ByteOrder) -> Bitfield:
        """Describe a bitfield of `width` bits at a bit offset of its struct."""
        first, last = offset // 8, (offset + width - 1) // 8
        span = last - first + 1
        # Bit 0 is the lowest bit of the first byte in little-endian BTF, and the highest in big-endian BTF.
        shift = offset - first * 8 if order == "little" else span * 8 - (offset - first * 8) - width
        signed = bool(getattr(kinds.strip(type), "signed", False))
        return cls(first, span, shift, width, signed, order, bit_value(type))

    def get(self, buffer: bytes | bytearray | memoryview, base: int) -> Any:
        """Read the value out of a struct that begins at `base`."""
        start = base + self.offset
        number = int.from_bytes(buffer[start : start + self.span], self.order) >> self.shift & (1 << self.width) - 1
        return self.value(number - (1 << self.width) if self.signed and number >> self.width - 1 else number)

    def put(self, buffer: bytearray | memoryview, base: int, value: Any) -> None:
        """Store a value into a struct that begins at `base`; the bits around it stay as they are.

        Raises:
            BpfValueError: the value has more bits.
        """
        low, high = bit_bounds(self.width, self.signed)
        if not hasattr(value, "__index__") or not low <= value.__index__() <= high:
            raise refuse_number(value, f"a bitfield of {self.width} bits", low, high)
        mask, start = (1 << self.width) - 1, base + self.offset
        around = int.from_bytes(buffer[start : start + self.span], self.order) & ~(mask << self.shift)
        whole = around | (value.__index__() & mask) << self.shift
        buffer[start : start + self.span] = whole.to_bytes(self.span, self.order)
