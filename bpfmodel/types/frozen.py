"""What ``class Key(Struct, frozen=True)`` means: values that stay what they are, and so have a hash."""

from __future__ import annotations

from typing import Any

from ..errors import ReadOnlyError


def freeze(cls: Any) -> None:
    """Have values of a class refuse to change, and give them a hash."""
    cls.__setattr__ = cls.__delattr__ = _refuse
    cls.__hash__ = _hash


def is_frozen(cls: Any) -> bool:
    """Tell whether values of a class stay what they are."""
    return getattr(cls, "__setattr__", None) is _refuse


def _refuse(self: Any, name: str, *_: object) -> None:
    raise ReadOnlyError(f"{type(self).__name__} is frozen: make a changed copy with replace(value, {name}=…)")


def _hash(self: Any) -> int:
    return hash((type(self), *map(_hashable, vars(self).values())))


def _hashable(value: Any) -> Any:
    """Return something with a hash for a member's value: lists have none, nor have structs that are not frozen."""
    if isinstance(value, list):
        return tuple(map(_hashable, value))
    return _hash(value) if hasattr(type(value), "__bpf_type__") else value
