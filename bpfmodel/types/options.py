"""`field()`: what an annotation alone cannot say, for members of structs and for fields of objects classes alike."""

from __future__ import annotations

from typing import Any

NOTHING: Any = object()


class FieldOptions:
    """What `field()` leaves in a class body until the body is read."""

    __slots__ = ("default", "max_entries", "name")

    def __init__(self, name: str | None, default: Any = NOTHING, max_entries: int | None = None) -> None:
        self.name = name
        self.default = default
        self.max_entries = max_entries


def field(*, name: str | None = None, default: Any = NOTHING, max_entries: int | None = None) -> Any:
    """Say more than an annotation can: ``x: Var[u32] = field(name="c_name")``.

    Args:
        name: the C name, where it is not the attribute's: a Python keyword, or a name that hides a method.
        default: the value of a struct member that is left out; fields of objects classes have none.
        max_entries: how many entries a map has to have room for, where that is to be checked too.
    """
    return FieldOptions(name, default, max_entries)
