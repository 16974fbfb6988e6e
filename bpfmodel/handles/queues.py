"""Maps without keys: `Queue`, `Stack` and `BloomFilter`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from .field import MapField
from .maps import EXIST, AnyMap

V = TypeVar("V")


class _Ends(AnyMap, Generic[V]):
    """What queues and stacks share."""

    __slots__ = ()
    parameters = ("value",)

    def push(self, value: V, *, drop_oldest: bool = False) -> None:
        """Append a value.

        Args:
            value: what to append.
            drop_oldest: where it is full, make room by dropping the oldest value.

        Raises:
            BpfValueError: the value does not fit its C type.
            MapError: it is full.
        """
        self._map.update(None, self._pack_value(value), EXIST if drop_oldest else 0)

    def pop(self) -> V:
        """Remove the next value and return it.

        Raises:
            IndexError: there is none.
        """
        return self._next(self._map.take(None))

    def peek(self) -> V:
        """Return the next value, and leave it where it is.

        Raises:
            IndexError: there is none.
        """
        return self._next(self._map.lookup(None))

    def _next(self, raw: bytes | None) -> V:
        if raw is None:
            raise IndexError(f"{self.name} is empty")
        return self._value.decode(raw, 0)  # type: ignore[no-any-return]


class Queue(_Ends[V], Generic[V]):
    """A queue: what was pushed first is popped first."""

    __slots__ = ()
    map_type = "QUEUE"

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[None, V]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> Queue[V]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...


class Stack(_Ends[V], Generic[V]):
    """A stack: what was pushed last is popped first."""

    __slots__ = ()
    map_type = "STACK"

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[None, V]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> Stack[V]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...


class BloomFilter(AnyMap, Generic[V]):
    """A Bloom filter: it may say of a value that was never added that it was, and never the other way round."""

    __slots__ = ()
    map_type = "BLOOM_FILTER"
    parameters = ("value",)

    def add(self, value: V) -> None:
        """Add a value; it cannot be removed.

        Raises:
            BpfValueError: the value does not fit its C type.
        """
        self._map.update(None, self._pack_value(value))

    def __contains__(self, value: V) -> bool:
        return self._map.holds(self._pack_value(value))

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[None, V]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> BloomFilter[V]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...
