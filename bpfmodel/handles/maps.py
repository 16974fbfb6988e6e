"""Maps: `HashMap` and `ArrayMap`, typed by key and value."""

from __future__ import annotations

import contextlib
from collections.abc import ItemsView, Iterator, Mapping, MutableMapping, Sequence, ValuesView
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload

from ..engine.base import LoadedMap, LoadedObject
from ..errors import BpfTypeError, BpfValueError, Unique, shown
from .field import MapField

if TYPE_CHECKING:
    from ..types.base import Codec

K = TypeVar("K")
V = TypeVar("V")


class AnyMap(Unique):
    """What all kinds of maps share."""

    __slots__ = ("_key", "_map", "_owner", "_value", "max_entries", "name")

    map_type: ClassVar[str]
    """The name of the kernel's map type that this class stands for."""

    name: str
    """The C name."""
    max_entries: int
    """How many entries there is room for."""

    def __init__(self, loaded: LoadedMap, key: Codec, value: Codec, owner: LoadedObject) -> None:
        self.name, self.max_entries = loaded.name, loaded.max_entries
        self._map, self._key, self._value = loaded, key, value
        self._owner = owner  # lives as long as anything of it is held

    def fileno(self) -> int:
        """Return the map's file descriptor, which stays the object's own.

        Raises:
            ClosedError: the object was closed.
            NotSupportedError: the engine has no descriptors.
        """
        return self._map.fileno()

    def _pack_key(self, key: Any) -> bytes:
        try:
            return self._key.encode(key)
        except BpfValueError as error:
            raise error.within("key").within(self.name) from None

    def _pack_value(self, value: Any) -> bytes:
        try:
            return self._value.encode(value)
        except BpfValueError as error:
            raise error.within("value").within(self.name) from None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class _Items(ItemsView[K, V]):
    _mapping: Mapping[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        for key in self._mapping:
            with contextlib.suppress(KeyError):
                yield key, self._mapping[key]


class _Values(ValuesView[V]):
    _mapping: Mapping[Any, V]

    def __iter__(self) -> Iterator[V]:
        for key in self._mapping:
            with contextlib.suppress(KeyError):
                yield self._mapping[key]


class HashMap(AnyMap, MutableMapping[K, V], Generic[K, V]):
    """A hash map, as a mapping.

    Iterating sees the map as it is on the way: entries that programs add or remove meanwhile may or may not appear, and
    none appears twice. ``len()`` counts by iterating.
    """

    __slots__ = ()
    map_type = "HASH"

    def __getitem__(self, key: K) -> V:
        raw = self._map.lookup(self._pack_key(key))
        if raw is None:
            raise KeyError(key)
        return self._value.decode(raw, 0)  # type: ignore[no-any-return]

    def __setitem__(self, key: K, value: V) -> None:
        self._map.update(self._pack_key(key), self._pack_value(value))

    def __delitem__(self, key: K) -> None:
        if not self._map.delete(self._pack_key(key)):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return self._map.lookup(self._pack_key(key)) is not None

    def __iter__(self) -> Iterator[K]:
        for raw in self._keys():
            yield self._key.decode(raw, 0)

    def __len__(self) -> int:
        return len(self._keys())

    def items(self) -> ItemsView[K, V]:
        """Return a view of the entries; those that vanish while it is read are left out."""
        return _Items(self)

    def values(self) -> ValuesView[V]:
        """Return a view of the values; those of entries that vanish while it is read are left out."""
        return _Values(self)

    def popitem(self) -> tuple[K, V]:
        """Remove some entry and return it.

        Raises:
            KeyError: the map is empty.
        """
        for key, value in self.items():
            with contextlib.suppress(KeyError):
                del self[key]
                return key, value
        raise KeyError(f"{self.name} is empty")

    def clear(self) -> None:
        """Remove all entries that are there now."""
        for raw in self._keys():
            self._map.delete(raw)

    def _keys(self) -> list[bytes]:
        """Collect the keys. The kernel starts over when the key it stands on is deleted, so each is taken once."""
        found: dict[bytes, None] = {}
        key = self._map.next_key(None)
        repeats = 0
        while key is not None and repeats <= self.max_entries:
            if key in found:
                repeats += 1
            found[key] = None
            key = self._map.next_key(key)
        return list(found)

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[K, V]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> HashMap[K, V]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...


class ArrayMap(AnyMap, Sequence[V], Generic[V]):
    """An array, as a sequence whose elements can be set and whose length never changes.

    Indexes count from 0, negative ones from the end; a slice is read as a list.
    """

    __slots__ = ()
    map_type = "ARRAY"

    @overload
    def __getitem__(self, index: int) -> V: ...
    @overload
    def __getitem__(self, index: slice) -> list[V]: ...
    def __getitem__(self, index: int | slice) -> V | list[V]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(self.max_entries))]
        raw = self._map.lookup(self._place(index))
        if raw is None:
            raise IndexError(f"{self.name} has {self.max_entries} elements, and no index {index}")
        return self._value.decode(raw, 0)  # type: ignore[no-any-return]

    def __setitem__(self, index: int, value: V) -> None:
        self._map.update(self._place(index), self._pack_value(value))

    def __len__(self) -> int:
        return self.max_entries

    def __iter__(self) -> Iterator[V]:
        for index in range(self.max_entries):
            yield self[index]

    def _place(self, index: int) -> bytes:
        if not hasattr(index, "__index__"):
            raise BpfTypeError(f"{shown(index)} is no index; {self.name} takes integers", self.name)
        number = index.__index__()
        if not -self.max_entries <= number < self.max_entries:
            raise IndexError(f"{self.name} has {self.max_entries} elements, and no index {number}")
        return self._key.encode(number % self.max_entries)

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[int, V]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> ArrayMap[V]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...
