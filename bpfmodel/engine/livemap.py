"""Maps that live in the kernel."""

from __future__ import annotations

import ctypes
import errno
import mmap
import sys
from functools import partial
from typing import Any
from weakref import WeakSet

from ..errors import ClosedError, KernelError, MapError, NotSupportedError, errno_text
from ..spec.uapi import MapFlag, MapType
from . import libbpf, syscall
from .base import Batch, LoadedMap, LoadedProgram, Slot, Stream, Writer, closed
from .refusals import map_failure, wrong_size
from .syscall import Command


class KernelMap(LoadedMap):
    """A map in the kernel, by a descriptor of its own."""

    def __init__(
        self, name: str, fd: syscall.Fd, constant: bool = False, template: syscall.MapInfo | None = None
    ) -> None:
        self.name = name
        self._fd: syscall.Fd | None = fd
        # What slots pass to the kernel. Closing sets it to -1, which no operation takes: a slot that is left over can then
        # never hit a stranger's descriptor of the same number.
        self._number = ctypes.c_int(fd.number)
        self.info = syscall.map_info(fd)
        self.type, self.flags = self.info.type, self.info.flags
        self.key_size = self.info.key_size
        self.value_size = self.info.buffer_size
        self.max_entries = self.info.max_entries
        self.cpus = syscall.possible_cpus() if self.type in syscall.PERCPU_KINDS else 0
        self._constant = constant
        self._template = template
        self._children: WeakSet[KernelMap] = WeakSet()

    @property
    def closed(self) -> bool:  # noqa: D102 - the contract says it
        return self._fd is None

    def open_fd(self) -> syscall.Fd:
        """Return the descriptor, or raise ClosedError."""
        if self._fd is None:
            raise closed(self.name)
        return self._fd

    def slot(self) -> Slot:  # noqa: D102 - the contract says it
        self.open_fd()
        key, value = bytearray(self.key_size), bytearray(self.value_size)
        key_at, value_at = _reference(key), _reference(value)
        quick, number, any_flags = libbpf.quick, self._number, ctypes.c_uint64(0)
        return Slot(
            memoryview(key),
            memoryview(value),
            partial(quick("bpf_map_lookup_elem"), number, key_at, value_at),
            partial(quick("bpf_map_update_elem"), number, key_at, value_at, any_flags),
            partial(quick("bpf_map_delete_elem"), number, key_at),
        )

    def failure(self, verb: str, number: int) -> KernelError | ClosedError | NotSupportedError:  # noqa: D102
        return closed(self.name) if self._fd is None else map_failure(self.name, self.type, verb, number)

    def _element(self, verb: str, command: Command, key: bytes | None, other: Any, flags: int = 0) -> bool:
        """Do one operation; False where the key is not there."""
        fd = self.open_fd()
        if len(key or b"") != self.key_size and (key is not None or command != Command.NEXT_KEY):
            raise wrong_size(self.name, "key", self.key_size, len(key or b""))
        number = syscall.element(command, fd, self.info, key if self.key_size else None, other, flags)
        if number == errno.ENOENT:
            return False
        if number:
            raise self.failure(verb, number)
        return True

    def lookup(self, key: bytes | None, flags: int = 0) -> bytes | None:  # noqa: D102
        value = ctypes.create_string_buffer(max(self.value_size, 1))
        found = self._element("read", Command.LOOKUP, key, value, flags)
        return value.raw[: self.value_size] if found else None

    def update(self, key: bytes | None, value: bytes, flags: int = 0) -> None:  # noqa: D102
        if len(value) != self.value_size:
            raise wrong_size(self.name, "value", self.value_size, len(value))
        buffer = ctypes.create_string_buffer(value, max(self.value_size, 1))
        if not self._element("store", Command.UPDATE, key, buffer, flags):
            raise self.failure("store", errno.ENOENT)

    def delete(self, key: bytes) -> bool:  # noqa: D102
        return self._element("delete", Command.DELETE, key, None)

    def take(self, key: bytes | None) -> bytes | None:  # noqa: D102
        value = ctypes.create_string_buffer(max(self.value_size, 1))
        found = self._element("take", Command.TAKE, key, value)
        return value.raw[: self.value_size] if found else None

    def next_key(self, key: bytes | None) -> bytes | None:  # noqa: D102
        following = ctypes.create_string_buffer(max(self.key_size, 1))
        found = self._element("iterate", Command.NEXT_KEY, key, following)
        return following.raw[: self.key_size] if found else None

    def holds(self, value: bytes) -> bool:  # noqa: D102
        if len(value) != self.value_size:
            raise wrong_size(self.name, "value", self.value_size, len(value))
        return self._element("read", Command.LOOKUP, None, ctypes.create_string_buffer(value, self.value_size))

    def read_batch(  # noqa: D102
        self, cursor: bytes | None, keys: memoryview, values: memoryview, count: int, *, delete: bool = False
    ) -> Batch:
        fd = self.open_fd()
        if self.type == MapType.LPM_TRIE:
            # The kernel goes on from the last key, and starts over when a program has removed that one meanwhile: entries
            # would come twice.
            raise NotSupportedError(f"{self.name}: tries are read one by one")
        # Hashes keep the number of a bucket here, others a key: the kernel says no more of it than that.
        start = ctypes.create_string_buffer(cursor or b"", max(self.key_size, 8))
        following = ctypes.create_string_buffer(len(start))
        with _pinned(keys, self.key_size * count) as keys_at, _pinned(values, self.value_size * count) as values_at:
            places = (ctypes.addressof(start) if cursor is not None else 0, ctypes.addressof(following))
            command = Command.TAKE_BATCH if delete else Command.LOOKUP_BATCH
            number, done = syscall.batch(command, fd, places, keys_at, values_at, count)
        if number == errno.ENOENT:
            return Batch(min(done, count), None)
        if number:
            raise self._batch_failure("take" if delete else "read", number)
        return Batch(min(done, count), following.raw)

    def write_batch(self, keys: memoryview, values: memoryview, count: int, flags: int = 0) -> None:  # noqa: D102
        fd = self.open_fd()
        with _pinned(keys, self.key_size * count) as keys_at, _pinned(values, self.value_size * count) as values_at:
            number, _ = syscall.batch(Command.UPDATE_BATCH, fd, (0, 0), keys_at, values_at, count, flags)
        if number:
            raise self._batch_failure("store", number)

    def delete_batch(self, keys: memoryview, count: int) -> int:  # noqa: D102
        fd = self.open_fd()
        with _pinned(keys, self.key_size * count) as keys_at:
            number, done = syscall.batch(Command.DELETE_BATCH, fd, (0, 0), keys_at, 0, count)
        if number not in (0, errno.ENOENT):
            raise self._batch_failure("delete", number)
        return min(done, count)

    def _batch_failure(self, verb: str, number: int) -> Exception:
        if number == errno.EINVAL:  # how kernels before 5.6 refuse a command they do not know
            return NotSupportedError(f"{self.name}: cannot {verb} many entries at once; that takes Linux 5.6")
        return self.failure(verb, number)

    def memory(self) -> memoryview | None:
        """Map the bytes of an array, read-only where the kernel froze them; None where the kernel cannot map them."""
        fd = self.open_fd()
        if not self.info.flags & MapFlag.MMAPABLE:
            return None
        protection = mmap.PROT_READ | (0 if self._constant else mmap.PROT_WRITE)
        # The length is exact, so that every access through the mapping is checked against it; the kernel rounds up.
        length = self.value_size if self.max_entries == 1 else (self.value_size + 7) // 8 * 8 * self.max_entries
        if self.type == MapType.ARENA:
            length = mmap.PAGESIZE * self.max_entries
        try:
            return memoryview(syscall.mapped(fd, length, protection))
        except OSError as error:
            raise KernelError(f"{self.name} cannot be mapped: {errno_text(error.errno or 0)}", error.errno) from None

    def stream(self) -> Stream:  # noqa: D102
        from .rings import open_stream

        return open_stream(self.name, self.type, self.open_fd(), self.max_entries)

    def writer(self) -> Writer:  # noqa: D102
        from .rings import open_writer

        return open_writer(self.name, self.type, self.open_fd())

    def inner(self, number: int) -> KernelMap:  # noqa: D102
        self.open_fd()
        try:
            return self._child(syscall.map_by_id(number))
        except OSError as error:
            raise self.failure("open a map in it", error.errno or 0) from None

    def _child(self, fd: syscall.Fd) -> KernelMap:
        """Make a map that is closed with this one."""
        made = KernelMap(f"{self.name}[…]", fd)
        self._children.add(made)
        return made

    def new_inner(self, max_entries: int) -> KernelMap:  # noqa: D102
        self.open_fd()
        if self._template is None:
            raise NotSupportedError(f"{self.name}: the object does not say what its maps look like")
        like = self._template._replace(max_entries=max_entries or self._template.max_entries)
        try:
            return self._child(syscall.map_create(self.name, like))
        except OSError as error:
            raise self.failure("make a map for it", error.errno or 0) from None

    def reference(self, other: LoadedMap | LoadedProgram) -> bytes:  # noqa: D102
        return other.fileno().to_bytes(4, sys.byteorder)

    def fileno(self) -> int:  # noqa: D102
        return self.open_fd().number

    def close(self) -> None:
        """Let go of the descriptor; operations in flight end first."""
        self._number.value = -1
        self._fd = None
        for child in list(self._children):
            child.close()


def _reference(buffer: bytearray) -> Any:
    """Return what passes a buffer to a C function and keeps it alive; a null pointer for an empty one."""
    return ctypes.byref((ctypes.c_char * len(buffer)).from_buffer(buffer)) if buffer else None


class _pinned:
    """Gives the address of a writable buffer that has at least so many bytes, and keeps it in place meanwhile."""

    def __init__(self, view: memoryview, size: int) -> None:
        if view.nbytes < size:
            raise MapError(f"a buffer of {view.nbytes} bytes, and {size} are needed", errno.EINVAL)
        self._held: Any = (ctypes.c_char * size).from_buffer(view) if size else None

    def __enter__(self) -> int:
        return ctypes.addressof(self._held) if self._held is not None else 0

    def __exit__(self, *_: object) -> None:
        self._held = None
