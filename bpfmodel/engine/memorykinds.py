"""Maps in this process without keys, of references, and of records; and which class each kind of map is."""

from __future__ import annotations

import errno
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

from ..btf.parse import ByteOrder
from ..errors import BpfValueError, LoadError, errno_text
from ..spec.collection import CollectionSpec
from ..spec.specs import MapSpec
from ..spec.uapi import MapType
from .base import LoadedMap, LoadedProgram, Records, Stream
from .memorymap import EXIST, NOEXIST, Array, Hash, Lru, MemoryMap, Section, Trie, alive


class _Queue(MemoryMap):
    def __init__(self, spec: MapSpec, order: ByteOrder) -> None:
        super().__init__(spec, order)
        self._values: deque[bytes] = deque()
        self._next = -1 if spec.type == MapType.STACK else 0

    def _get(self, key: bytes) -> bytes | None:
        return self._values[self._next] if self._values else None

    def _put(self, key: bytes, value: bytes, flags: int) -> int:
        if flags == NOEXIST:
            return errno.EINVAL
        if len(self._values) >= self.max_entries:
            if flags != EXIST:
                return errno.E2BIG
            self._values.popleft()  # the oldest, in a stack too
        self._values.append(value)
        return 0

    def _drop(self, key: bytes) -> bool:
        if self._values:
            del self._values[self._next]
        return True


class _Bloom(MemoryMap):
    """A Bloom filter that is never wrong, which the kernel's may be."""

    def __init__(self, spec: MapSpec, order: ByteOrder) -> None:
        super().__init__(spec, order)
        self._values: set[bytes] = set()

    def _put(self, key: bytes, value: bytes, flags: int) -> int:
        self._values.add(value)
        return 0

    def holds(self, value: bytes) -> bool:
        self._check(None, value)
        return value in self._values


class _References:
    """What maps of maps and of programs share: they keep what they hold alive."""

    def __init__(self) -> None:
        self.held: dict[bytes, LoadedMap | LoadedProgram] = {}

    def store(self, key: bytes, value: bytes, order: ByteOrder) -> bool:
        found = alive(int.from_bytes(value, order))
        if found is not None:
            self.held[key] = found
        return found is not None


class _ArrayOfReferences(Array):
    def __init__(self, spec: MapSpec, order: ByteOrder) -> None:
        super().__init__(spec, order)
        self._references = _References()

    def _get(self, key: bytes) -> bytes | None:
        return super()._get(key) if key in self._references.held else None

    def _put(self, key: bytes, value: bytes, flags: int) -> int:
        if self._at(key) is None:
            return errno.E2BIG
        return super()._put(key, value, flags) if self._references.store(key, value, self._order) else errno.EBADF

    def _drop(self, key: bytes) -> bool:
        return self._references.held.pop(key, None) is not None


class _HashOfReferences(Hash):
    def __init__(self, spec: MapSpec, order: ByteOrder) -> None:
        super().__init__(spec, order)
        self._references = _References()

    def _put(self, key: bytes, value: bytes, flags: int) -> int:
        number = super()._put(key, value, flags)
        return number or (0 if self._references.store(key, value, self._order) else errno.EBADF)


class _Ring(MemoryMap):
    """A ring buffer, to which tests may hand records as a program would: ``engine_map.emit(bytes)``."""

    def __init__(self, spec: MapSpec, order: ByteOrder) -> None:
        super().__init__(spec, order)
        self.key_size = self.value_size = 0
        self.records: deque[bytes] = deque()
        self.changed = threading.Condition()

    def emit(self, record: bytes) -> None:
        """Append a record."""
        with self.changed:
            self.records.append(bytes(record))
            self.changed.notify_all()

    def stream(self) -> Stream:
        self._check()
        return MemoryStream(self)


class MemoryStream(Stream):
    """The records of a ring in memory."""

    def __init__(self, ring: _Ring) -> None:
        self._ring = ring
        self._woken = False

    def read(self, most: int, records: Records) -> int:  # noqa: D102
        done = 0
        while done < most and self._ring.records:
            record = self._ring.records.popleft()
            done += 1
            view, length = memoryview(record), len(record)
            records.append(records.decode(view, 0) if length == records.size else records.other(view, 0, length))
        return done

    def read_equal(self, size: int) -> Iterator[tuple[memoryview, int, int, int]]:  # noqa: D102
        while self._ring.records:
            record = self._ring.records.popleft()
            if len(record) != size:
                raise BpfValueError(f"a record of {len(record)} bytes, and {size} were expected", self._ring.name)
            yield memoryview(record), 0, size, 1

    def wait(self, timeout: float | None) -> bool:  # noqa: D102
        with self._ring.changed:
            return self._ring.changed.wait_for(lambda: bool(self._ring.records) or self._woken, timeout)

    def wake(self) -> None:  # noqa: D102
        with self._ring.changed:
            self._woken = True
            self._ring.changed.notify_all()

    def descriptors(self) -> tuple[int, int]:  # noqa: D102
        return self._ring.fileno(), self._ring.fileno()

    def close(self) -> None:  # noqa: D102
        self._ring.records.clear()


_KINDS: dict[int, type[MemoryMap]] = {
    MapType.HASH: Hash, MapType.PERCPU_HASH: Hash, MapType.LRU_HASH: Lru, MapType.LRU_PERCPU_HASH: Lru,
    MapType.ARRAY: Array, MapType.PERCPU_ARRAY: Array, MapType.LPM_TRIE: Trie,
    MapType.QUEUE: _Queue, MapType.STACK: _Queue, MapType.BLOOM_FILTER: _Bloom, MapType.STACK_TRACE: Hash,
    MapType.ARRAY_OF_MAPS: _ArrayOfReferences, MapType.PROG_ARRAY: _ArrayOfReferences,
    MapType.HASH_OF_MAPS: _HashOfReferences, MapType.RINGBUF: _Ring,
}  # fmt: skip


def map_of(spec: MapSpec, order: ByteOrder) -> MemoryMap:
    """Make the map of a plan.

    Raises:
        LoadError: the plan has no room for anything, which the kernel refuses too.
    """
    kind = _KINDS.get(int(spec.type), MemoryMap)
    if kind is not MemoryMap and not (spec.max_entries and (spec.value_size or kind is _Ring)):
        raise LoadError(
            f"map {spec.name} cannot be created: {errno_text(errno.EINVAL)}; it has {spec.max_entries} entries "
            f"of {spec.value_size} bytes",
            errno.EINVAL,
        )
    made = kind(spec, order)
    made.make = map_of
    return made


def make_map(spec: CollectionSpec, plan: MapSpec) -> MemoryMap:
    """Make a map or data section of an object.

    Raises:
        LoadError: it cannot be created.
    """
    if plan.is_data:
        return Section(plan, spec.byte_order, spec.image_of(plan.name) or plan.image)
    try:
        return map_of(plan, spec.byte_order)
    except LoadError as error:
        raise LoadError(f"{spec.name}: {error}", error.errno) from None


def fill(spec: CollectionSpec, maps: dict[str, Any], programs: dict[str, Any]) -> None:
    """Put into maps of maps and of programs what the object says they begin with."""
    for name, held in maps.items():
        if held.type in (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS, MapType.PROG_ARRAY):
            for index, wanted in spec.maps[name].values.items():
                other = maps.get(wanted) or programs.get(wanted)
                if other is not None:
                    held.update(index.to_bytes(4, spec.byte_order), held.reference(other))
