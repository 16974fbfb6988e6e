"""Maps in this process: what they share, hashes, tries and arrays; `memorykinds` has the rest."""

from __future__ import annotations

import errno
import itertools
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from weakref import WeakSet, WeakValueDictionary

from ..btf.parse import ByteOrder
from ..errors import ClosedError, KernelError, LoadError, MapError, NotSupportedError
from ..spec.specs import MapSpec
from ..spec.uapi import MapFlag, MapType, map_type_name
from .base import Batch, LoadedMap, LoadedProgram, Slot, Stream, Writer, closed
from .refusals import map_failure, wrong_size

NOEXIST, EXIST, _LOCK = 1, 2, 4
_PERCPU = (MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_PERCPU_HASH)

_ids = itertools.count(1)
_alive: WeakValueDictionary[int, LoadedMap | LoadedProgram] = WeakValueDictionary()
"""What can be stored in a map of maps or programs, by the number that stands for it, as the kernel has such numbers."""


def alive(number: int) -> LoadedMap | LoadedProgram | None:
    """Return the map or program that a number stands for."""
    return _alive.get(number)


def number_of(held: LoadedMap | LoadedProgram) -> int:
    """Return the number that stands for a map or program."""
    for number, other in _alive.items():
        if other is held:
            return number
    number = next(_ids)
    _alive[number] = held
    return number


class MemoryMap(LoadedMap):
    """A map of a kind that exists, since a program refers to it, and that is not held in memory; the root of the others."""

    make: Callable[[MapSpec, ByteOrder], MemoryMap]
    """Makes a map of any kind; for maps of maps."""

    def __init__(self, spec: MapSpec, order: ByteOrder) -> None:
        self.name, self.type, self.flags = spec.name, int(spec.type), spec.flags
        self.key_size, self.max_entries = spec.key_size, spec.max_entries
        self.cpus = (os.cpu_count() or 1) if spec.type in _PERCPU else 0
        self.value_size = _rounded(spec.value_size) * self.cpus if self.cpus else spec.value_size
        self._inner = spec.inner
        self._order: ByteOrder = order
        self._closed = False
        self._lock = threading.RLock()
        self._walked = 0
        self._made: WeakSet[MemoryMap] = WeakSet()

    # What each kind has of its own; keys and values have the right sizes here.

    def _get(self, key: bytes) -> bytes | None:
        raise self._unheld()

    def _put(self, key: bytes, value: bytes, flags: int) -> int:
        """Store, and return 0 or an errno."""
        raise self._unheld()

    def _drop(self, key: bytes) -> bool:
        raise self._unheld()

    def _keys(self) -> list[bytes]:
        raise self._unheld()

    def _unheld(self) -> NotSupportedError:
        return NotSupportedError(f"{self.name}: MemoryEngine does not hold maps of type {map_type_name(self.type)}")

    # The contract, made of that.

    def _check(self, key: bytes | None = None, value: bytes | None = None) -> None:
        if self._closed:
            raise closed(self.name)
        if key is not None and len(key) != self.key_size:
            raise wrong_size(self.name, "key", self.key_size, len(key))
        if value is not None and len(value) != self.value_size:
            raise wrong_size(self.name, "value", self.value_size, len(value))

    @property
    def closed(self) -> bool:  # noqa: D102
        return self._closed

    def failure(self, verb: str, number: int) -> KernelError | ClosedError | NotSupportedError:  # noqa: D102
        return closed(self.name) if self._closed else map_failure(self.name, self.type, verb, number)

    def slot(self) -> Slot:  # noqa: D102
        key, value = bytearray(self.key_size), bytearray(self.value_size)

        def answered(operation: Callable[[], Any]) -> Callable[[], int]:
            def call() -> int:
                try:
                    done = operation()
                except KernelError as error:
                    return -(error.errno or errno.EINVAL)
                except ClosedError:
                    return -errno.EBADF
                if done is None or done is False:
                    return -errno.ENOENT
                if isinstance(done, bytes):
                    value[:] = done
                return 0

            return call

        def update() -> bool:
            self.update(bytes(key), bytes(value))
            return True

        return Slot(
            memoryview(key),
            memoryview(value),
            answered(lambda: self.lookup(bytes(key))),
            answered(update),
            answered(lambda: self.delete(bytes(key))),
        )

    def lookup(self, key: bytes | None, flags: int = 0) -> bytes | None:  # noqa: D102
        self._check(key or b"")
        with self._lock:
            return self._get(key or b"")

    def update(self, key: bytes | None, value: bytes, flags: int = 0) -> None:  # noqa: D102
        self._check(key or b"", value)
        with self._lock:
            number = self._put(key or b"", bytes(value), flags & ~_LOCK)
        if number:
            raise self.failure("store", number)

    def delete(self, key: bytes) -> bool:  # noqa: D102
        self._check(key)
        with self._lock:
            return self._drop(key)

    def take(self, key: bytes | None) -> bytes | None:  # noqa: D102
        self._check(key or b"")
        with self._lock:
            found = self._get(key or b"")
            if found is not None:
                self._drop(key or b"")
            return found

    def next_key(self, key: bytes | None) -> bytes | None:  # noqa: D102
        self._check(key)
        with self._lock:
            keys = self._keys()
            # A walk asks for one key after another: where the last one was is where this one most likely is.
            at = self._walked if self._walked < len(keys) and keys[self._walked] == key else None
            if at is None:
                at = keys.index(key) if key is not None and key in keys else -1
            self._walked = at + 1
            return keys[at + 1] if at + 1 < len(keys) else None

    def holds(self, value: bytes) -> bool:  # noqa: D102
        self._check(None, value)
        raise self.failure("read", errno.EOPNOTSUPP)

    def read_batch(  # noqa: D102
        self, cursor: bytes | None, keys: memoryview, values: memoryview, count: int, *, delete: bool = False
    ) -> Batch:
        self._check()
        if keys.nbytes < self.key_size * count or values.nbytes < self.value_size * count:
            raise MapError(f"{self.name}: the buffers have no room for {count} entries", errno.EINVAL)
        start = 0 if delete or cursor is None else int.from_bytes(cursor, "little")
        keys, values = keys.cast("B"), values.cast("B")
        with self._lock:
            found = self._keys()
            here = found[start : start + count]
            for index, key in enumerate(here):
                value = self._get(key)
                assert value is not None
                keys[index * self.key_size : (index + 1) * self.key_size] = key
                values[index * self.value_size : (index + 1) * self.value_size] = value
                if delete:
                    self._drop(key)
        end = start + len(here)
        return Batch(len(here), end.to_bytes(8, "little") if end < len(found) else None)

    def write_batch(self, keys: memoryview, values: memoryview, count: int, flags: int = 0) -> None:  # noqa: D102
        for key, value in zip(_cut(keys, self.key_size, count), _cut(values, self.value_size, count), strict=True):
            self.update(key, value, flags)

    def delete_batch(self, keys: memoryview, count: int) -> int:  # noqa: D102
        for done, key in enumerate(_cut(keys, self.key_size, count)):
            if not self.delete(key):
                return done
        return count

    def memory(self) -> memoryview | None:  # noqa: D102
        return None

    def stream(self) -> Stream:  # noqa: D102
        self._check()
        raise self._unheld()

    def writer(self) -> Writer:  # noqa: D102
        self._check()
        raise self._unheld()

    def inner(self, number: int) -> LoadedMap:  # noqa: D102
        self._check()
        found = _alive.get(number)
        if not isinstance(found, LoadedMap):
            raise self.failure("open a map in it", errno.ENOENT)
        return found

    def new_inner(self, max_entries: int) -> LoadedMap:  # noqa: D102
        self._check()
        if self._inner is None:
            raise NotSupportedError(f"{self.name}: the object does not say what its maps look like")
        made = self.make(replace(self._inner, max_entries=max_entries or self._inner.max_entries), self._order)
        made.name = f"{self.name}[…]"
        self._made.add(made)
        return made

    def reference(self, other: LoadedMap | LoadedProgram) -> bytes:  # noqa: D102
        return number_of(other).to_bytes(4, self._order)

    def fileno(self) -> int:  # noqa: D102
        self._check()
        raise NotSupportedError(f"{self.name}: MemoryEngine has no file descriptors")

    def close(self) -> None:  # noqa: D102
        self._closed = True
        for made in self._made:
            made.close()


class Hash(MemoryMap):
    """A hash map."""

    def __init__(self, spec: MapSpec, order: ByteOrder) -> None:
        super().__init__(spec, order)
        self._entries: OrderedDict[bytes, bytes] = OrderedDict()

    def _get(self, key: bytes) -> bytes | None:
        return self._entries.get(key)

    def _put(self, key: bytes, value: bytes, flags: int) -> int:
        there = key in self._entries
        if flags == NOEXIST and there:
            return errno.EEXIST
        if flags == EXIST and not there:
            return errno.ENOENT
        if not there and len(self._entries) >= self.max_entries and not self._make_room():
            return errno.E2BIG
        self._entries[key] = value
        return 0

    def _make_room(self) -> bool:
        return False

    def _drop(self, key: bytes) -> bool:
        return self._entries.pop(key, None) is not None

    def _keys(self) -> list[bytes]:
        return list(self._entries)


class Lru(Hash):
    """A hash map that drops what was used least recently when it is full."""

    def _get(self, key: bytes) -> bytes | None:
        if key in self._entries:
            self._entries.move_to_end(key)
        return self._entries.get(key)

    def _make_room(self) -> bool:
        self._entries.popitem(last=False)
        return True


class Trie(MemoryMap):
    """Longest-prefix match: a key begins with the length of its prefix in bits."""

    def __init__(self, spec: MapSpec, order: ByteOrder) -> None:
        super().__init__(spec, order)
        self._entries: dict[tuple[int, int], tuple[bytes, bytes]] = {}

    def _prefix(self, key: bytes, length: int) -> tuple[int, int]:
        spare = (self.key_size - 4) * 8 - length
        return length, int.from_bytes(key[4:], "big") >> spare

    def _length(self, key: bytes) -> int:
        return int.from_bytes(key[:4], self._order)

    def _get(self, key: bytes) -> bytes | None:
        for length in range(min(self._length(key), (self.key_size - 4) * 8), -1, -1):
            found = self._entries.get(self._prefix(key, length))
            if found is not None:
                return found[1]
        return None

    def _put(self, key: bytes, value: bytes, flags: int) -> int:
        if self._length(key) > (self.key_size - 4) * 8:
            return errno.EINVAL
        place = self._prefix(key, self._length(key))
        if flags == NOEXIST and place in self._entries:
            return errno.EEXIST
        if flags == EXIST and place not in self._entries:
            return errno.ENOENT
        if place not in self._entries and len(self._entries) >= self.max_entries:
            return errno.ENOSPC
        self._entries[place] = key, value
        return 0

    def _drop(self, key: bytes) -> bool:
        if self._length(key) > (self.key_size - 4) * 8:
            raise self.failure("delete", errno.EINVAL)
        return self._entries.pop(self._prefix(key, self._length(key)), None) is not None

    def _keys(self) -> list[bytes]:
        return [key for key, _ in self._entries.values()]


class Array(MemoryMap):
    """An array."""

    def __init__(self, spec: MapSpec, order: ByteOrder, image: bytes | None = None) -> None:
        super().__init__(spec, order)
        self._stride = _rounded(self.value_size)  # as in the kernel
        try:
            self._bytes = bytearray(self._stride * self.max_entries)
        except (MemoryError, OverflowError):
            raise LoadError(
                f"map {self.name} cannot be created: {self.max_entries} entries of {self.value_size} bytes",
                errno.ENOMEM,
            ) from None
        if image:
            self._bytes[: len(image)] = image
        # What nobody may write is held in what nobody can.
        self._memory: bytes | bytearray = bytes(self._bytes) if spec.constant else self._bytes

    def _at(self, key: bytes) -> int | None:
        index = int.from_bytes(key, self._order)
        return index * self._stride if index < self.max_entries else None

    def _get(self, key: bytes) -> bytes | None:
        at = self._at(key)
        return None if at is None else bytes(self._memory[at : at + self.value_size])

    def _put(self, key: bytes, value: bytes, flags: int) -> int:
        at = self._at(key)
        if not isinstance(self._memory, bytearray):
            return errno.EPERM
        if at is None:
            return errno.E2BIG
        if flags == NOEXIST:
            return errno.EEXIST
        self._memory[at : at + self.value_size] = value
        return 0

    def _drop(self, key: bytes) -> bool:
        raise self.failure("delete", errno.EINVAL)

    def next_key(self, key: bytes | None) -> bytes | None:  # noqa: D102
        self._check(key)
        index = -1 if key is None else int.from_bytes(key, self._order)
        if index >= self.max_entries:
            index = -1
        return (index + 1).to_bytes(4, self._order) if index + 1 < self.max_entries else None

    def _keys(self) -> list[bytes]:
        return [index.to_bytes(4, self._order) for index in range(self.max_entries)]

    def memory(self) -> memoryview | None:  # noqa: D102
        self._check()
        if not self.flags & MapFlag.MMAPABLE:
            return None
        return memoryview(self._memory)[: self.value_size if self.max_entries == 1 else None]


class Section(Array):
    """A data section, whose bytes are at hand whatever its flags say."""

    def memory(self) -> memoryview | None:  # noqa: D102
        self._check()
        return memoryview(self._memory)[: self.value_size]


def _rounded(size: int) -> int:
    return (size + 7) // 8 * 8


def _cut(view: memoryview, size: int, count: int) -> list[bytes]:
    raw = view.cast("B")
    return [bytes(raw[at * size : (at + 1) * size]) for at in range(count)]
