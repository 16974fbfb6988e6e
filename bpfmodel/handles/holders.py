"""Maps that hold other objects: programs, maps, and the stack traces that programs take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload
from weakref import WeakValueDictionary

from ..btf import kinds
from ..engine.base import LoadedMap
from ..errors import BpfTypeError, BpfValueError, NotSupportedError, shown
from .batches import all_keys
from .field import MapField
from .maps import AnyMap, Shape, make_map
from .program import Program

K = TypeVar("K")
M = TypeVar("M", bound=AnyMap)

_BUILD_ID = 1 << 5  # BPF_F_STACK_BUILD_ID of linux/bpf.h


class _ByIndex(AnyMap):
    """What maps with an index and no value of the user's share."""

    __slots__ = ()
    parameters: ClassVar[tuple[str, ...]] = ()

    def __len__(self) -> int:
        return self.max_entries

    def __delitem__(self, index: int) -> None:
        if not self._map.delete(self._index(index)):
            raise KeyError(index)

    def __contains__(self, index: int) -> bool:
        return self._map.lookup(self._index(index)) is not None

    def _index(self, index: Any) -> bytes:
        if not hasattr(index, "__index__"):
            raise BpfTypeError(f"{shown(index)} is no index; {self.name} takes integers", self.name)
        number = index.__index__()
        if not 0 <= number < self.max_entries:
            raise IndexError(f"{self.name} has {self.max_entries} places, and no index {number}")
        return self._pack_key(number)

    def _number(self, raw: bytes) -> int:
        return int.from_bytes(raw, self._shape.order)


class _ByKey(AnyMap, Generic[K]):
    """What maps with a key and no value of the user's share."""

    __slots__ = ()

    def __delitem__(self, key: K) -> None:
        if not self._map.delete(self._pack_key(key)):
            raise KeyError(key)

    def __contains__(self, key: K) -> bool:
        return self._map.lookup(self._pack_key(key)) is not None

    def __iter__(self) -> Iterator[K]:
        for raw in all_keys(self._map):
            yield self._key.decode(raw, 0)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class ProgArray(_ByIndex):
    """An array of programs to jump to: ``objs.jumps[3] = objs.handle_icmp``.

    A place is read as the number the kernel knows its program by. It is emptied with ``del objs.jumps[3]``, and the kernel
    empties all of it when the last descriptor of it is closed.
    """

    __slots__ = ()
    map_type = "PROG_ARRAY"

    def __getitem__(self, index: int) -> int:
        raw = self._map.lookup(self._index(index))
        if raw is None:
            raise KeyError(index)
        return self._number(raw)

    def __setitem__(self, index: int, program: Program[Any]) -> None:
        loaded = getattr(program, "_program", None)
        if loaded is None:
            raise BpfTypeError(f"{shown(program)} is no Program", f"{self.name}[{index}]")
        self._map.update(self._index(index), self._map.reference(loaded))

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[int, int]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> ProgArray: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...


class _OfMaps(AnyMap, Generic[M]):
    """What maps of maps share: the class and the types of the maps inside."""

    __slots__ = ("_handles", "_inner")
    _inner: tuple[type[AnyMap], Shape]

    def __init__(self, loaded: LoadedMap, shape: Shape, owner: Any) -> None:
        super().__init__(loaded, shape._replace(value=kinds.Int("u32", 4)), owner)
        assert shape.inner is not None
        self._inner = shape.inner
        self._handles: WeakValueDictionary[int, AnyMap] = WeakValueDictionary()  # by id(): mappings have no hash

    def create(self, max_entries: int = 0) -> M:
        """Make a new map of the kind that this one holds, to be stored in it.

        Args:
            max_entries: its room; as much as the object's template has, unless given.

        Raises:
            NotSupportedError: the object does not say what its maps look like.
            MapError: the kernel refused.
        """
        if not isinstance(max_entries, int) or not 0 <= max_entries < 1 << 32:
            raise BpfValueError(f"{shown(max_entries)} is no number of entries", f"{self.name}.create")
        return self._handle(self._map.new_inner(max_entries))

    def _handle(self, loaded: LoadedMap) -> M:
        kind, shape = self._inner
        made: M = make_map(kind, loaded, shape, self._owner)  # type: ignore[assignment]
        self._handles[id(made)] = made
        return made

    def _close(self) -> None:
        super()._close()
        for made in list(self._handles.values()):
            made._close()

    def _open(self, key: Any, raw_key: bytes) -> M:
        raw = self._map.lookup(raw_key)
        if raw is None:
            raise KeyError(key)
        return self._handle(self._map.inner(int.from_bytes(raw, self._shape.order)))

    def _store(self, key: Any, raw_key: bytes, value: Any) -> None:
        if not isinstance(value, AnyMap):
            raise BpfTypeError(f"{shown(value)} is no map", f"{self.name}[{shown(key)}]")
        self._map.update(raw_key, self._map.reference(value._map))


class ArrayOfMaps(_OfMaps[M], _ByIndex, Generic[M]):
    """An array of maps: a place is read as a handle of the map in it, and takes a handle of a map of the same kind."""

    __slots__ = ()
    map_type = "ARRAY_OF_MAPS"
    parameters = ("inner",)

    def __getitem__(self, index: int) -> M:
        return self._open(index, self._index(index))

    def __setitem__(self, index: int, value: M) -> None:
        self._store(index, self._index(index), value)

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[int, M]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> ArrayOfMaps[M]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...


class HashOfMaps(_OfMaps[M], _ByKey[K], Generic[K, M]):
    """A hash of maps: a key is read as a handle of its map, and takes a handle of a map of the same kind."""

    __slots__ = ()
    map_type = "HASH_OF_MAPS"
    parameters = ("key", "inner")

    def __getitem__(self, key: K) -> M:
        return self._open(key, self._pack_key(key))

    def __setitem__(self, key: K, value: M) -> None:
        self._store(key, self._pack_key(key), value)

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[K, M]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> HashOfMaps[K, M]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...


class StackTrace(_ByKey[int]):
    """Stack traces, by the number that ``bpf_get_stackid()`` gave a program: addresses, the innermost first."""

    __slots__ = ()
    map_type = "STACK_TRACE"
    parameters = ()

    def __getitem__(self, number: int) -> list[int]:
        raw = self._map.lookup(self._pack_key(number))
        if raw is None:
            raise KeyError(number)
        if self._map.flags & _BUILD_ID:
            raise NotSupportedError(f"{self.name} holds build ids and offsets; declare it as a Map to read them")
        found = [int.from_bytes(raw[at : at + 8], self._shape.order) for at in range(0, len(raw) // 8 * 8, 8)]
        while found and not found[-1]:
            found.pop()
        return found

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[int, list[int]]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> StackTrace: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...
