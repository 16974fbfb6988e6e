"""Maps that are mappings: the hashes, the tries, and `Map` for every kind that has no class of its own."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import ItemsView, Iterable, Iterator, Mapping, MutableMapping, ValuesView
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from ..errors import BpfValueError, MapError, NotSupportedError
from .batches import CHUNK, Batches, chunks, decoded, positive, while_open
from .field import MapField
from .maps import EXIST, LOCK, NOEXIST, AnyMap
from .percpu import PerCpu

if TYPE_CHECKING:
    import ipaddress

    from ..types.base import Codec

    Prefix = ipaddress.IPv4Network | ipaddress.IPv6Network | ipaddress.IPv4Address | ipaddress.IPv6Address

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")
_NONE: Any = object()


class _Items(ItemsView[K, V]):
    _mapping: Mapping[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        yield from self._mapping._pairs()  # type: ignore[attr-defined]


class _Values(ValuesView[V]):
    _mapping: Mapping[Any, V]

    def __iter__(self) -> Iterator[V]:
        for _, value in self._mapping._pairs():  # type: ignore[attr-defined]
            yield value


class Locked(Generic[K, V]):
    """The values of a map under the spin lock that each of them has: ``objs.flows.locked[key]``.

    Reading takes no half of a change that a program makes under the lock, and storing leaves none to it.
    """

    __slots__ = ("_of",)

    def __init__(self, of: AnyMap) -> None:
        self._of = of

    def __getitem__(self, key: K) -> V:
        of = self._of
        raw = of._map.lookup(of._pack_key(of._place(key)), LOCK)
        if raw is None:
            raise KeyError(key)
        return of._value.decode(raw, 0)  # type: ignore[no-any-return]

    def __setitem__(self, key: K, value: V) -> None:
        of = self._of
        of._map.update(of._pack_key(of._place(key)), of._pack_value(value), LOCK)


class AnyMapping(Batches[K, V], MutableMapping[K, V], Generic[K, V]):
    """What maps that are mappings share.

    Iterating reads a chunk a system call, and sees the map as it is on the way: entries that programs add or remove
    meanwhile may or may not appear, and none appears twice. ``len()`` counts by iterating.
    """

    __slots__ = ()
    access = "mapping"

    if TYPE_CHECKING:  # what is made for each map: see `maps`

        def __getitem__(self, key: K) -> V: ...
        def __setitem__(self, key: K, value: V) -> None: ...
        def __delitem__(self, key: K) -> None: ...

    def __iter__(self) -> Iterator[K]:
        for keys, _, count in chunks(self._map):
            yield from while_open(self._map, decoded(self._key, keys, count))

    def _pairs(self) -> Iterator[tuple[K, V]]:
        for batch in self.lookup_batch():
            yield from while_open(self._map, batch)

    def __len__(self) -> int:
        return sum(count for _, _, count in chunks(self._map))

    def items(self) -> ItemsView[K, V]:
        """Return a view of the entries; each is as it was when its chunk was read."""
        return _Items(self)

    def values(self) -> ValuesView[V]:
        """Return a view of the values; each is as it was when its chunk was read."""
        return _Values(self)

    def insert(self, key: K, value: V) -> None:
        """Store a value under a key that must be new.

        Raises:
            MapError: the key is there already (EEXIST), or the map is full.
        """
        self._map.update(self._pack_key(self._place(key)), self._pack_value(value), NOEXIST)

    def replace(self, key: K, value: V) -> None:
        """Store a value under a key that must be there.

        Raises:
            KeyError: it is not.
        """
        try:
            self._map.update(self._pack_key(self._place(key)), self._pack_value(value), EXIST)
        except MapError as error:
            if error.errno == errno.ENOENT:
                raise KeyError(key) from None
            raise

    @overload
    def pop(self, key: K, /) -> V: ...
    @overload
    def pop(self, key: K, /, default: V | D) -> V | D: ...
    def pop(self, key: K, /, default: Any = _NONE) -> Any:
        """Remove a key and return its value, in one step where the kernel can (hashes, from 5.14 on).

        Raises:
            KeyError: the key is not there, and no default was given.
        """
        raw_key = self._pack_key(self._place(key))
        try:
            raw = self._map.take(raw_key)
        except (NotSupportedError, MapError) as error:
            if isinstance(error, MapError) and error.errno != errno.EINVAL:
                raise
            raw = self._map.lookup(raw_key)
            if raw is not None:
                self._map.delete(raw_key)
        if raw is not None:
            return self._value.decode(raw, 0)
        if default is _NONE:
            raise KeyError(key)
        return default

    def popitem(self) -> tuple[K, V]:
        """Remove some entry and return it.

        Raises:
            KeyError: the map is empty.
        """
        for batch in self.lookup_batch(1):
            for key, _ in batch:
                with contextlib.suppress(KeyError):
                    return key, self.pop(key)
        raise KeyError(f"{self.name} is empty")

    def setdefault(self, key: K, default: V) -> V:  # pyright: ignore[reportIncompatibleMethodOverride]  # no map holds None
        """Return the value of a key; where there is none, store the default first, unless a program is quicker."""
        while True:
            found: Any = self.get(key, _NONE)
            if found is not _NONE:
                return found  # type: ignore[no-any-return]
            try:
                self.insert(key, default)
            except MapError as error:
                if error.errno != errno.EEXIST:
                    raise

    def update(self, entries: Any = (), /, **named: V) -> None:
        """Store many entries, as `update_batch` does."""
        pairs = [(key, entries[key]) for key in entries.keys()] if hasattr(entries, "keys") else list(entries)  # noqa: SIM118
        named_pairs: Any = named.items()
        self.update_batch([*pairs, *named_pairs])

    def clear(self) -> None:
        """Remove all entries that are there now."""
        for keys, _, count in list(self._snapshot()):
            self._delete(keys, count)

    def pop_batch(self, size: int = CHUNK) -> Iterator[list[tuple[K, V]]]:
        """Remove all entries and yield them, up to `size` at a time; in one step each chunk, where the kernel can."""
        for keys, values, count in chunks(self._map, positive(size, self.name), delete=True):
            yield list(zip(decoded(self._key, keys, count), decoded(self._value, values, count), strict=True))

    def delete_batch(self, keys: Iterable[K]) -> int:
        """Remove many keys and return how many of them were there."""
        raw, count = bytearray(), 0
        for key in keys:
            raw += self._pack_key(self._place(key))
            count += 1
        return self._delete(memoryview(raw), count)

    def _snapshot(self) -> Iterator[tuple[memoryview, None, int]]:
        for keys, _, count in chunks(self._map):
            yield memoryview(bytearray(keys)), None, count

    def _delete(self, keys: memoryview, count: int) -> int:
        held, wide, at, deleted = self._map, self._map.key_size, 0, 0
        while at < count:
            try:
                done = held.delete_batch(keys[at * wide :], count - at)
            except NotSupportedError:
                return deleted + sum(held.delete(bytes(keys[i * wide : (i + 1) * wide])) for i in range(at, count))
            deleted, at = deleted + done, at + done + 1  # it ends at one that is not there
        return deleted

    @property
    def locked(self) -> Locked[K, V]:
        """The values under the spin lock that each of them has, for programs that change them under it.

        Reading and storing them raises MapError where the value has no ``struct bpf_spin_lock``.
        """
        return Locked(self)


class HashMap(AnyMapping[K, V], Generic[K, V]):
    """A hash map, as a mapping."""

    __slots__ = ()
    map_type = "HASH"

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[K, V]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> HashMap[K, V]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...


class LruHashMap(AnyMapping[K, V], Generic[K, V]):
    """A hash map that drops what was not used for long when it is full."""

    __slots__ = ()
    map_type = "LRU_HASH"

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[K, V]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> LruHashMap[K, V]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...


class PerCpuHashMap(AnyMapping[K, PerCpu[V]], Generic[K, V]):
    """A hash map whose values have a copy for each CPU: `PerCpu` lists, which have a ``sum()``."""

    __slots__ = ()
    map_type = "PERCPU_HASH"

    if TYPE_CHECKING:

        def __setitem__(self, key: K, value: list[V]) -> None: ...
        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[K, PerCpu[V]]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> PerCpuHashMap[K, V]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...


class LruPerCpuHashMap(AnyMapping[K, PerCpu[V]], Generic[K, V]):
    """A hash map with a copy of each value for each CPU, which drops what was not used for long when it is full."""

    __slots__ = ()
    map_type = "LRU_PERCPU_HASH"

    if TYPE_CHECKING:

        def __setitem__(self, key: K, value: list[V]) -> None: ...
        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[K, PerCpu[V]]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> LruPerCpuHashMap[K, V]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...


class LpmTrie(AnyMapping[K, V], Generic[K, V]):
    """A trie of prefixes: looking up an address finds the longest prefix that has it.

    Keys are a struct of the prefix's length in bits (a ``u32``) and the address in network order. Networks and addresses of
    `ipaddress` are taken as well, an address as a prefix of all its bits: ``objs.routes[ip_network("10.0.0.0/8")] = 1``.
    """

    __slots__ = ()
    map_type = "LPM_TRIE"
    plain_keys = False

    def _pack_key(self, key: Any) -> bytes:
        if not hasattr(key, "max_prefixlen"):  # what networks and addresses of `ipaddress` have
            return super()._pack_key(key)
        from ipaddress import ip_network

        network = ip_network(key)
        packed = network.network_address.packed
        if len(packed) + 4 != self._key.size:
            raise BpfValueError(
                f"{key} has an address of {len(packed)} bytes, and the keys have one of {self._key.size - 4}",
                f"{self.name}.key",
            )
        return network.prefixlen.to_bytes(4, self._shape.order) + packed

    if TYPE_CHECKING:

        def __getitem__(self, key: K | Prefix) -> V: ...
        def __setitem__(self, key: K | Prefix, value: V) -> None: ...
        def __delitem__(self, key: K | Prefix) -> None: ...
        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[K, V]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> LpmTrie[K, V]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...


class Map(AnyMapping[K, V], Generic[K, V]):
    """A map of any kind: storage of tasks, sockets, inodes and cgroups, sockmaps, devmaps, cpumaps, arenas and others.

    It is checked by its key and value alone, and does what the kernel offers for the kind; the rest raises NotSupportedError
    or MapError. Where a key or value is a descriptor, whatever has a ``fileno()`` will do. An arena, which has neither keys nor
    values, is a ``Map[Any, Any]``, and its pages are its `memory`.
    """

    __slots__ = ()

    def _pack_key(self, key: Any) -> bytes:
        return super()._pack_key(_descriptor(key, self._key))

    def _pack_value(self, value: Any) -> bytes:
        return super()._pack_value(_descriptor(value, self._value))

    @property
    def memory(self) -> memoryview:
        """The map's bytes themselves, for kinds that can be mapped into this process, such as arenas.

        Raises:
            NotSupportedError: this one cannot.
            ClosedError: the object was closed.
        """
        return self._mapped()

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[K, V]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> Map[K, V]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...


def _descriptor(given: Any, codec: Codec) -> Any:
    return given.fileno() if hasattr(given, "fileno") and codec.size in (4, 8) else given
