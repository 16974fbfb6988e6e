"""The engine that is this process's memory: the same objects without a kernel, for unit tests, CI and learning."""

from __future__ import annotations

import errno
import threading
from collections.abc import Set

from ..btf.parse import ByteOrder
from ..errors import BpfModelError, LoadError, MapError, NotSupportedError, errno_text
from ..spec.collection import CollectionSpec
from ..spec.specs import MapSpec
from ..spec.uapi import MapType, type_name
from .base import Engine, LoadedLink, LoadedMap, LoadedObject, LoadedProgram, LoadOptions, RunResult, closed

_NOEXIST, _EXIST = 1, 2


class MemoryEngine(Engine):
    """Holds variables and simple maps in this process, without privileges and on any operating system."""

    name = "memory"

    def load(self, spec: CollectionSpec, maps: Set[str], programs: Set[str], options: LoadOptions) -> MemoryObject:
        """Make these maps and programs in memory."""
        for name in maps & spec.maps.keys():
            spec.maps[name].check()
        return MemoryObject(spec, maps, programs)


class MemoryObject(LoadedObject):
    """An object in this process."""

    def __init__(self, spec: CollectionSpec, maps: Set[str], programs: Set[str]) -> None:
        # Maps of other kinds exist for the programs that use them, and cannot be used: they are not declared either.
        self.maps = {name: _make(spec, spec.maps[name]) for name in maps if name in spec.maps}
        self.programs = {name: MemoryProgram(name) for name in programs}

    def close(self) -> None:
        """Drop everything."""
        for held in self.maps.values():
            assert isinstance(held, _MemoryMap)
            held.close()
        for program in self.programs.values():
            assert isinstance(program, MemoryProgram)
            program.closed = True


class MemoryProgram(LoadedProgram):
    """A program that is here and cannot run: no engine but the kernel runs programs yet."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False

    def run(self, data: bytes, ctx: bytes, repeat: int) -> RunResult:  # noqa: D102
        raise self._refuse("runs no programs")

    def attach(self) -> LoadedLink:  # noqa: D102
        raise self._refuse("has nothing to attach to")

    def attach_xdp(self, interface: int, flags: int) -> LoadedLink:  # noqa: D102
        raise self._refuse("has nothing to attach to")

    def fileno(self) -> int:  # noqa: D102
        raise self._refuse("has no file descriptors")

    def _refuse(self, why: str) -> BpfModelError:
        if self.closed:
            return closed(self.name)
        return NotSupportedError(f"{self.name}: MemoryEngine {why}; load with engine=None, which is the kernel")


class _MemoryMap(LoadedMap):
    def __init__(self, spec: MapSpec) -> None:
        self.name = spec.name
        self.key_size, self.value_size, self.max_entries = spec.key_size, spec.value_size, spec.max_entries
        self._closed = False
        self._lock = threading.Lock()

    def _check(self, key: bytes | None, value: bytes | None = None) -> None:
        if self._closed:
            raise closed(self.name)
        if key is not None and len(key) != self.key_size:
            raise MapError(f"{self.name}: a key has {self.key_size} bytes, not {len(key)}", errno.EINVAL)
        if value is not None and len(value) != self.value_size:
            raise MapError(f"{self.name}: a value has {self.value_size} bytes, not {len(value)}", errno.EINVAL)

    def _refuse(self, verb: str, number: int, reason: str) -> MapError:
        return MapError(f"{self.name}: cannot {verb}: {errno_text(number)}; {reason}", number)

    def memory(self) -> memoryview | None:
        return None

    def fileno(self) -> int:
        self._check(None)
        raise NotSupportedError(f"{self.name}: MemoryEngine has no file descriptors")

    def close(self) -> None:
        self._closed = True


class _Hash(_MemoryMap):
    def __init__(self, spec: MapSpec) -> None:
        super().__init__(spec)
        self._entries: dict[bytes, bytes] = {}

    def lookup(self, key: bytes) -> bytes | None:
        self._check(key)
        return self._entries.get(key)

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        self._check(key, value)
        with self._lock:
            there = key in self._entries
            if flags == _NOEXIST and there:
                raise self._refuse("store", errno.EEXIST, "the key is there already")
            if flags == _EXIST and not there:
                raise self._refuse("store", errno.ENOENT, "the key is not there")
            if not there and len(self._entries) >= self.max_entries:
                raise self._refuse("store", errno.E2BIG, "it is full")
            self._entries[key] = value

    def delete(self, key: bytes) -> bool:
        self._check(key)
        return self._entries.pop(key, None) is not None

    def next_key(self, key: bytes | None) -> bytes | None:
        self._check(key)
        keys = list(self._entries)
        if key is None or key not in self._entries:
            return keys[0] if keys else None
        behind = keys.index(key) + 1
        return keys[behind] if behind < len(keys) else None


class _Array(_MemoryMap):
    def __init__(self, spec: MapSpec, order: ByteOrder, image: bytes | None = None) -> None:
        super().__init__(spec)
        self._stride = (self.value_size + 7) // 8 * 8  # as in the kernel
        self._order: ByteOrder = order
        try:
            self._bytes = bytearray(self._stride * self.max_entries)
        except (MemoryError, OverflowError):
            raise LoadError(
                f"map {self.name} cannot be created: {self.max_entries} entries of {self.value_size} bytes",
                errno.ENOMEM,
            ) from None
        if image:
            self._bytes[: len(image)] = image

    def _at(self, key: bytes) -> int | None:
        self._check(key)
        index = int.from_bytes(key, self._order)
        return index * self._stride if index < self.max_entries else None

    def lookup(self, key: bytes) -> bytes | None:
        at = self._at(key)
        return None if at is None else bytes(self._bytes[at : at + self.value_size])

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        at = self._at(key)
        self._check(key, value)
        if at is None:
            raise self._refuse("store", errno.E2BIG, f"it has {self.max_entries} elements")
        if flags == _NOEXIST:
            raise self._refuse("store", errno.EEXIST, "every element of an array exists")
        self._bytes[at : at + self.value_size] = value

    def delete(self, key: bytes) -> bool:
        self._check(key)
        raise self._refuse("delete", errno.EINVAL, "elements of an array stay")

    def next_key(self, key: bytes | None) -> bytes | None:
        self._check(key)
        index = -1 if key is None else int.from_bytes(key, self._order)
        if index >= self.max_entries:
            index = -1
        return (index + 1).to_bytes(4, self._order) if index + 1 < self.max_entries else None


class _Section(_Array):
    def __init__(self, spec: MapSpec, order: ByteOrder, image: bytes | None) -> None:
        super().__init__(spec, order, image)
        self._constant = spec.constant
        # What nobody may write is held in what nobody can.
        self._memory: bytes | bytearray = bytes(self._bytes) if spec.constant else self._bytes

    def memory(self) -> memoryview | None:
        self._check(None)
        return memoryview(self._memory)[: self.value_size]

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        if self._constant:
            raise self._refuse("store", errno.EPERM, "it is frozen")
        super().update(key, value, flags)


class _Unusable(_MemoryMap):
    """A map of a kind that is not held in memory: it exists, since a program refers to it, and refuses all use."""

    def __init__(self, spec: MapSpec) -> None:
        super().__init__(spec)
        self._kind = type_name(spec.type)

    def _no(self) -> NotSupportedError:
        self._check(None)
        return NotSupportedError(f"{self.name}: MemoryEngine does not hold maps of type {self._kind}")

    def lookup(self, key: bytes) -> bytes | None:
        raise self._no()

    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        raise self._no()

    def delete(self, key: bytes) -> bool:
        raise self._no()

    def next_key(self, key: bytes | None) -> bytes | None:
        raise self._no()


def _make(spec: CollectionSpec, plan: MapSpec) -> _MemoryMap:
    if plan.type in (MapType.HASH, MapType.ARRAY) and (not plan.max_entries or not plan.value_size):
        raise LoadError(
            f"{spec.name}: map {plan.name} cannot be created: {errno_text(errno.EINVAL)}; it has {plan.max_entries} entries "
            f"of {plan.value_size} bytes",
            errno.EINVAL,
        )
    if plan.is_data:
        return _Section(plan, spec.byte_order, spec.image_of(plan.name) or plan.image)
    if plan.type == MapType.HASH:
        return _Hash(plan)
    if plan.type == MapType.ARRAY:
        return _Array(plan, spec.byte_order)
    return _Unusable(plan)
