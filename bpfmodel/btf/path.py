"""Finds what lies inside a type by its path: ``inner.counters[3]``."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import BpfValueError
from . import kinds
from .layout import size_of

_STEP = re.compile(r"(?:^|\.)([^.\[\]]+)|\[(\d+)\]")


class Place(NamedTuple):
    """Something inside a type: its own type, and where it begins, in bits; `bits` is the width of a bitfield, or 0."""

    type: kinds.Type
    offset: int
    bits: int = 0


def place_of(type: kinds.Type, path: str) -> Place:
    """Return what `path` leads to inside a type; the empty path leads to the whole.

    Members go by their C name or, where a declaration gave another one, by that; those of anonymous members as in C.

    Raises:
        BpfValueError: the path leads nowhere; the message says what there is.
    """
    place, at = Place(type, 0), 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise BpfValueError(f"{path!r} is no path, such as inner.counters[3]")
        place, at = _step(place, path[:at] or "it", step), step.end()
    return place


def _step(place: Place, way: str, step: re.Match[str]) -> Place:
    bare, (name, number) = kinds.strip(place.type), step.groups()
    if number is not None:
        length = bare.length if isinstance(bare, kinds.Array) else 0
        if not isinstance(bare, kinds.Array) or int(number) >= length:
            raise BpfValueError(f"{way} has {length} elements, and no index {number}")
        return Place(bare.element, place.offset + int(number) * size_of(bare.element) * 8)
    if isinstance(bare, kinds.Composite):
        found = _member(bare, name)
        if found is not None:
            return found._replace(offset=place.offset + found.offset)
    names = ", ".join(member.attribute for member in bare.members) if isinstance(bare, kinds.Composite) else ""
    raise BpfValueError(f"{way} has no member {name}" + (f"; it has {names}" if names else ""))


def _member(composite: kinds.Composite, name: str) -> Place | None:
    for member in composite.members:
        if name in (member.name, member.attribute):
            return Place(member.type, member.offset, member.bits)
        inner = kinds.strip(member.type)
        if not member.name and isinstance(inner, kinds.Composite):
            found = _member(inner, name)
            if found is not None:
                return found._replace(offset=member.offset + found.offset)
    return None
