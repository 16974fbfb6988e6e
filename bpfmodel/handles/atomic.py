"""Atomic access to an integer that programs change at the same time."""

from __future__ import annotations

import operator
import sys
from typing import TYPE_CHECKING, Any

from ..btf import kinds
from ..btf.parse import ByteOrder
from ..engine.base import closed
from ..errors import BpfTypeError, BpfValueError, NotSupportedError, Unique, shown

if TYPE_CHECKING:
    from ..engine.atomics import Cell


class AtomicInt(Unique):
    """An integer of 4 or 8 bytes, changed so that no update of a program or of another thread is lost.

    Arithmetic wraps as in C. Each operation but `load` and `store` returns the value from before it.
    """

    __slots__ = ("_bits", "_cell", "_signed", "name")

    name: str
    """The C name."""

    def __init__(self, cell: Cell, name: str, bits: int, signed: bool) -> None:
        self._cell: Cell | None = cell
        self.name = name
        self._bits = bits
        self._signed = signed

    def load(self) -> int:
        """Return the value."""
        return self._value(self._open().load())

    def store(self, value: int) -> None:
        """Replace the value."""
        bits = self._fits(value)
        self._open().store(bits)

    def exchange(self, value: int) -> int:
        """Replace the value and return the one from before."""
        bits = self._fits(value)
        return self._value(self._open().exchange(bits))

    def compare_exchange(self, expected: int, value: int) -> bool:
        """Replace the value if it is `expected`; return whether it was."""
        wanted, bits = self._fits(expected), self._fits(value)
        return self._open().cas(wanted, bits) == wanted

    def add(self, value: int) -> int:
        """Add to the value, wrapping as in C, and return the one from before."""
        operand = self._number(value)  # first: it may run code of the caller's
        return self._value(self._open().fetch_add(operand))

    def sub(self, value: int) -> int:
        """Subtract from the value, wrapping as in C, and return the one from before."""
        operand = self._number(value)  # first: it may run code of the caller's
        return self._value(self._open().fetch_sub(operand))

    def and_(self, value: int) -> int:
        """Keep only the bits that `value` has, and return the value from before."""
        operand = self._number(value)  # first: it may run code of the caller's
        return self._value(self._open().fetch_and(operand))

    def or_(self, value: int) -> int:
        """Set the bits that `value` has, and return the value from before."""
        operand = self._number(value)  # first: it may run code of the caller's
        return self._value(self._open().fetch_or(operand))

    def xor(self, value: int) -> int:
        """Flip the bits that `value` has, and return the value from before."""
        operand = self._number(value)  # first: it may run code of the caller's
        return self._value(self._open().fetch_xor(operand))

    def close(self) -> None:
        """Let go of the memory; every use from then on raises ClosedError."""
        self._cell = None

    def _open(self) -> Cell:
        cell = self._cell
        if cell is None:
            raise closed(self.name)
        return cell

    def _value(self, number: int) -> int:
        return number - (1 << self._bits) if self._signed and number >> self._bits - 1 else number

    def _number(self, value: Any) -> int:
        """Return an operand as the bits of this width, which is what wrapping means."""
        return _integer(value, self.name) & (1 << self._bits) - 1

    def _fits(self, value: Any) -> int:
        """Return a value to be stored as its bits; it has to fit, as for `Var.set`."""
        whole = _integer(value, self.name)
        number = whole & (1 << self._bits) - 1
        if self._value(number) != whole:
            low, high = (
                (-(1 << self._bits - 1), (1 << self._bits - 1) - 1) if self._signed else (0, (1 << self._bits) - 1)
            )
            raise BpfValueError(f"{shown(value)} is out of range ({low} to {high})", self.name)
        return number

    def __repr__(self) -> str:
        return f"<AtomicInt {self.name}{' (closed)' if self._cell is None else ''}>"


def _integer(value: Any, name: str) -> int:
    """Return a plain int, once and for all: a subclass could answer differently each time it is asked."""
    try:
        return int(operator.index(value))
    except TypeError:
        raise BpfTypeError(f"{shown(value)} is no integer", name) from None


def make_atomic(type: kinds.Type, path: str, order: ByteOrder, window: memoryview, name: str) -> AtomicInt:
    """Make the atomic access to what `path` leads to inside the variable `name`, whose bytes are `window`.

    Raises:
        NotSupportedError: it has no atomic operations; the message says why.
        BpfValueError: the path leads nowhere.
    """
    # Late: a declaration needs none of it.
    from ..btf.path import place_of
    from ..btf.render import describe
    from ..engine.atomics import cell
    from ..types.atomics import has_atomics

    if not isinstance(path, str):
        raise BpfTypeError(f"{shown(path)} is no path, such as 'inner.counters[3]'", f"{name}.atomic")
    try:
        place = place_of(type, path)
    except BpfValueError as error:
        raise error.within(f"{name}.atomic") from None
    label = f"{name}{'' if path.startswith(('[', '.')) or not path else '.'}{path}"
    bare = kinds.strip(place.type)
    if place.bits or not isinstance(bare, kinds.Int) or not has_atomics(bare):
        found = f"a bitfield of {place.bits} bits" if place.bits else describe(place.type)
        inside = "; name one inside of it, as in atomic('counters[3]')" if isinstance(bare, kinds.Composite) else ""
        raise NotSupportedError(f"{label} is {found}, and atomic() takes integers of 4 or 8 bytes{inside}")
    if order != sys.byteorder:
        raise NotSupportedError(f"{label} is not in this machine's byte order, and has no atomic operations")
    at = place.offset // 8
    try:
        return AtomicInt(cell(window[at : at + bare.size]), label, bare.size * 8, bare.signed)
    except NotSupportedError as error:
        raise NotSupportedError(f"{label}: {error}") from None
