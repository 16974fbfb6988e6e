"""Sizes, alignments, and the layout that C gives the members of a struct on the BPF machine.

Source: the BPF target of clang (``clang/lib/Basic/Targets/BPF.h``): natural alignment for all scalars, 8-byte pointers,
16-byte alignment for 128-bit integers; bitfields as in the System V ABI.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..errors import DeclarationError, SourceError
from . import kinds


def size_of(type: kinds.Type) -> int:
    """Return the size in bytes.

    Raises:
        SourceError: the type has none (void, a function, a struct that is only declared).
    """
    count = 1
    while True:
        if isinstance(type, kinds.Modifier):
            type = type.target
        elif isinstance(type, kinds.Array):
            count *= type.length
            type = type.element
        elif isinstance(type, (kinds.Int, kinds.Float, kinds.Ptr, kinds.Composite, kinds.Enum)):
            return count * type.size
        else:
            raise SourceError(f"{type!r} has no size")


def align_of(type: kinds.Type) -> int:
    """Return the alignment in bytes that C gives a variable of this type."""
    type = kinds.strip(type)
    while isinstance(type, kinds.Array):
        type = kinds.strip(type.element)
    if isinstance(type, kinds.Composite):
        return type.align or max((align_of(member.type) for member in type.members), default=1)
    return size_of(type)


class Slot(NamedTuple):
    """A member that has no place yet. `bits` is the width of a bitfield, `align` an explicit alignment in bytes."""

    name: str
    type: kinds.Type
    bits: int = 0
    align: int = 0
    attribute: str = ""


class Layout(NamedTuple):
    """Members in their places, and the size and alignment in bytes of what holds them."""

    members: tuple[kinds.Member, ...]
    size: int
    align: int


def lay_out(slots: Iterable[Slot], *, packed: bool = False, align: int = 0, overlap: bool = False) -> Layout:
    """Give members the offsets that clang gives them; with `overlap` those of a union.

    Raises:
        DeclarationError: an alignment is no power of two, or a bitfield is wider than its type.
    """
    position, largest, widest, placed = 0, 0, 1, []
    for slot in slots:
        size = size_of(slot.type) * 8
        natural = 1 if packed else align_of(slot.type)
        wanted = max(natural, _power_of_two(slot.align, slot.name)) if slot.align else natural
        if overlap:
            position = 0
        if slot.bits:
            if slot.bits > size:
                raise DeclarationError(f"{slot.name}: a bitfield of {slot.bits} bits in a type of {size}")
            # A bitfield may not cross a unit of its declared type, unless the struct is packed.
            if not packed and position // size != (position + slot.bits - 1) // size:
                position = _up(position, size)
            if slot.align:
                position = _up(position, slot.align * 8)
            placed.append(kinds.Member(slot.name, slot.type, position, slot.bits, slot.attribute))
            position += slot.bits
        else:
            position = _up(position, wanted * 8)
            placed.append(kinds.Member(slot.name, slot.type, position, 0, slot.attribute))
            position += size
        largest, widest = max(largest, position), max(widest, wanted)
    if align:
        widest = max(widest, _power_of_two(align, "align"))
    return Layout(tuple(placed), _up(largest, widest * 8) // 8, widest)


def telling(type: kinds.Composite) -> tuple[kinds.Member, ...]:
    """Return the members that say all of a value: of a union the largest, since more could contradict each other."""
    if isinstance(type, kinds.Union):
        return (max(type.members, key=lambda member: member.bits or size_of(member.type) * 8),)
    return type.members


def fitted(type: kinds.Composite, size: int, length: int | None = None) -> kinds.Composite:
    """Return a struct whose flexible array member fills `size` bytes, or has `length` elements; others as they are."""
    last = type.members[-1] if type.members else None
    array = kinds.strip(last.type) if last is not None else None
    if last is None or not isinstance(array, kinds.Array) or array.length or not isinstance(type, kinds.Struct):
        return type
    start, stride = last.offset // 8, size_of(array.element)
    if length is None:
        length = (size - start) // stride if stride else 0
    filled = kinds.Array(array.element, length, array.python)
    member = kinds.Member(last.name, filled, last.offset, 0, last.attribute)
    size = max(type.size, start + length * stride)
    return kinds.Struct(type.name, size, (*type.members[:-1], member), type.python, type.align)


def _up(value: int, unit: int) -> int:
    return (value + unit - 1) // unit * unit


def _power_of_two(value: int, name: str) -> int:
    if value < 1 or value & (value - 1):
        raise DeclarationError(f"{name}: an alignment is a power of two, not {value}")
    return value
