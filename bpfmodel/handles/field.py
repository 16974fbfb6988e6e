"""The typed keys that stand for fields on an objects class: ``Objects.pkt_count`` is a ``Field[int]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


class AnyField:
    """What all keys share: the class that declares the field, and the name of its attribute there."""

    __slots__ = ("attribute", "owner")

    def __init__(self, owner: type, attribute: str) -> None:
        self.owner = owner
        self.attribute = attribute

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.owner.__qualname__}.{self.attribute}>"

    if not TYPE_CHECKING:  # checkers are to see that a key has no handle's methods

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            raise AttributeError(
                f"{self.owner.__qualname__}.{self.attribute} is the key of a field, and has no {name}; handles are on the object "
                f"that {self.owner.__qualname__}.load_and_assign(…) returns"
            )


class Field(AnyField, Generic[T]):
    """The key of a variable whose values are of type T; for `OpenObjects.set` and `OpenObjects.get`."""

    __slots__ = ()


class MapField(AnyField, Generic[K, V]):
    """The key of a map with keys of type K and values of type V."""

    __slots__ = ()


class ProgramField(AnyField):
    """The key of a program."""

    __slots__ = ()
