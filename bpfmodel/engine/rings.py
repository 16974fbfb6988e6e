"""Ring buffers and perf arrays of the kernel: the records that programs hand over.

A ring buffer is read straight out of its memory, on processors that keep loads in order, as x86-64 and s390x do. The rules
are those of libbpf's ``src/ringbuf.c``: the producer's position and a record's length are loaded before what they announce,
the consumer's position is stored after it was read, and a full fence stands between that store and another look at the
producer's position, or a wake-up could be missed. Elsewhere libbpf reads it, with the fences of the processor. Perf arrays
are always read by libbpf.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import math
import mmap
import os
import platform
import select
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

from ..errors import BpfValueError, KernelError, NotSupportedError, PrivilegeError, errno_text
from ..spec.uapi import MapType, map_type_name
from . import libbpf, syscall
from .base import Records, Stream, Writer
from .refusals import NEEDED

ORDERED = platform.machine() in ("x86_64", "i686", "s390x")
"""Whether this processor never lets a load pass an earlier load, nor a store an earlier one."""

_BUSY, _DISCARDED, _LENGTH = 1 << 31, 1 << 30, (1 << 30) - 1
_HEADER = 8
_PERF_PAGES = 64  # for each CPU, as in libbpf's examples: 256 KiB where pages have 4


def open_stream(name: str, kind: int, fd: syscall.Fd, size: int) -> Stream:
    """Open a ring buffer of `size` bytes, or a perf array, for reading.

    Raises:
        NotSupportedError: it is a map of another kind.
        KernelError: the kernel refused.
    """
    if kind == MapType.RINGBUF:
        return RingMemory(name, fd, size) if ORDERED else LibbpfRing(name, fd)
    if kind == MapType.PERF_EVENT_ARRAY:
        return PerfBuffers(name, fd)
    raise NotSupportedError(f"{name} is a map of type {map_type_name(kind)}, and has no records to read")


def open_writer(name: str, kind: int, fd: syscall.Fd) -> Writer:
    """Open a user ring buffer for writing.

    Raises:
        NotSupportedError: it is a map of another kind, or libbpf is too old.
        KernelError: the kernel refused.
    """
    if kind == MapType.USER_RINGBUF:
        return RingWriter(name, fd)
    raise NotSupportedError(f"{name} is a map of type {map_type_name(kind)}, and takes no records")


class _Waited(Stream):
    """What all streams of the kernel share: waiting, which can be ended."""

    def __init__(self, fd: syscall.Fd) -> None:
        self._fd = fd
        self._readable = fd.number
        self._waker = syscall.Fd(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))

    def wait(self, timeout: float | None) -> bool:
        poller = select.poll()
        for number in self.descriptors():
            poller.register(number, select.POLLIN)
        return bool(poller.poll(None if timeout is None else math.ceil(timeout * 1000)))

    def wake(self) -> None:
        os.eventfd_write(self._waker.number, 1)  # and never read: it stays so

    def descriptors(self) -> tuple[int, int]:
        return self._readable, self._waker.number


class RingMemory(_Waited):
    """A ring buffer, read out of its own memory."""

    def __init__(self, name: str, fd: syscall.Fd, size: int) -> None:
        super().__init__(fd)
        self._name, self._mask = name, size - 1
        page = mmap.PAGESIZE
        try:
            consumer = syscall.mapped(fd, page, mmap.PROT_READ | mmap.PROT_WRITE)
            # The data lies there twice, one behind the other, so that a record never breaks at the end.
            producer = syscall.mapped(fd, page + 2 * size, mmap.PROT_READ, offset=page)
        except OSError as error:
            raise KernelError(f"{name} cannot be mapped: {errno_text(error.errno or 0)}", error.errno) from None
        self._consumer = memoryview(consumer)[:8].cast("Q")
        self._producer = memoryview(producer)[:8].cast("Q")
        self._data = memoryview(producer)[page:]
        self._headers = self._data.cast("I")
        self._fence = threading.Lock()

    def read(self, most: int, records: Records) -> int:  # noqa: D102
        size, decode, other, append = records
        consumer, headers, data, mask = self._consumer, self._headers, self._data, self._mask
        at, end, done = consumer[0], self._producer[0], 0
        while done < most:
            if at >= end:
                self._full_fence()
                end = self._producer[0]
                if at >= end:
                    break
            place = at & mask
            header = headers[place >> 2]
            if header & _BUSY:  # reserved, and not submitted yet
                break
            length = header & _LENGTH
            if length > mask:
                raise self._broken(length)
            at += (length + _HEADER + 7) & ~7
            if header & _DISCARDED:
                consumer[0] = at
                continue
            done += 1
            try:
                append(decode(data, place + _HEADER) if length == size else other(data, place + _HEADER, length))
            finally:
                consumer[0] = at  # only now may the program write there
        return done

    def read_equal(self, size: int) -> Iterator[tuple[memoryview, int, int, int]]:  # noqa: D102
        from ..types.dtypes import numpy_module

        numpy = numpy_module()
        consumer, data, mask = self._consumer, self._data, self._mask
        stride = (size + _HEADER + 7) & ~7
        heads = numpy.dtype({"names": ["length"], "formats": ["u4"], "offsets": [0], "itemsize": stride})
        while True:
            at, end = consumer[0], self._producer[0]
            if at >= end:
                self._full_fence()
                end = self._producer[0]
                if at >= end:
                    return
            place = at & mask
            # What begins here may reach into the second copy of the data, and so never beyond it.
            count = (end - at) // stride
            run = 0
            if count:
                same = numpy.frombuffer(data, heads, count, place)["length"] == size
                run = count if same.all() else int(same.argmin())
            if run:
                yield data, place + _HEADER, stride, run
                consumer[0] = at + run * stride
                continue
            header = self._headers[place >> 2]
            if header & _BUSY:
                return
            length = header & _LENGTH
            if length > mask:
                raise self._broken(length)
            if header == size:
                continue  # submitted since we looked
            consumer[0] = at + ((length + _HEADER + 7) & ~7)
            if not header & _DISCARDED:
                raise BpfValueError(f"a record of {length} bytes, and {size} were expected", self._name)

    def _full_fence(self) -> None:
        """Have the stored position seen before the other one is loaded: taking a lock is a full fence on every processor."""
        with self._fence:
            pass

    def _broken(self, length: int) -> KernelError:
        return KernelError(f"{self._name}: a record claims {length} bytes, which is more than the ring has", errno.EIO)

    def close(self) -> None:  # noqa: D102
        for view in (self._consumer, self._producer, self._headers, self._data):
            with contextlib.suppress(BufferError):  # NumPy may still look: the memory stays until it does not
                view.release()


class _Buffered(_Waited):
    """What libbpf reads: it calls back for each record, and records wait here until they are asked for."""

    def __init__(self, name: str, fd: syscall.Fd) -> None:
        super().__init__(fd)
        self._name = name
        self._waiting: deque[bytes] = deque()
        self._handle: int | None = None

    def _fetch(self) -> None:
        """Have libbpf call back for what is there."""
        raise NotSupportedError(f"{self._name} cannot be read")

    def read(self, most: int, records: Records) -> int:
        size, decode, other, append = records
        done = 0
        while done < most:
            if not self._waiting:
                self._fetch()
                if not self._waiting:
                    break
            record = self._waiting.popleft()
            done += 1
            view = memoryview(record)
            append(decode(view, 0) if len(record) == size else other(view, 0, len(record)))
        return done

    def read_equal(self, size: int) -> Iterator[tuple[memoryview, int, int, int]]:
        while True:
            if not self._waiting:
                self._fetch()
            run = bytearray()
            while self._waiting and self._accept(self._waiting[0], size):
                run += self._waiting.popleft()[:size]
            if run:
                yield memoryview(run), 0, size, len(run) // size
            elif self._waiting:
                length = len(self._waiting.popleft())
                raise BpfValueError(f"a record of {length} bytes, and {size} were expected", self._name)
            else:
                return

    def _accept(self, record: bytes, size: int) -> bool:
        return len(record) == size


class LibbpfRing(_Buffered):
    """A ring buffer, read by libbpf."""

    def __init__(self, name: str, fd: syscall.Fd) -> None:
        super().__init__(name, fd)
        self._lib = libbpf.library()

        def record(context: int, data: int, size: int) -> int:
            self._waiting.append(ctypes.string_at(data, size))
            return 0

        self._callback = libbpf.RingCallback(record)
        self._handle = self._lib.ring_buffer__new(self._fd.number, self._callback, None, None)
        if not self._handle:
            raise _refused(name, ctypes.get_errno())

    def _fetch(self) -> None:
        self._lib.ring_buffer__consume(self._handle)

    def close(self) -> None:  # noqa: D102
        handle, self._handle = self._handle, None
        if handle:
            self._lib.ring_buffer__free(handle)
        self._waiting.clear()


class PerfBuffers(_Buffered):
    """The buffers of a perf array, one for each CPU."""

    padded = True

    def __init__(self, name: str, fd: syscall.Fd) -> None:
        super().__init__(name, fd)
        self._lib = libbpf.library()

        def record(context: int, cpu: int, data: int, size: int) -> None:
            self._waiting.append(ctypes.string_at(data, size))

        def lost(context: int, cpu: int, count: int) -> None:
            self.lost += count

        self._callbacks: tuple[Any, ...] = libbpf.PerfCallback(record), libbpf.LostCallback(lost)
        with libbpf.messages(0):
            self._handle = self._lib.perf_buffer__new(self._fd.number, _PERF_PAGES, *self._callbacks, None, None)
            number = ctypes.get_errno()
        if not self._handle:
            raise _refused(name, number)
        self._readable = int(self._lib.perf_buffer__epoll_fd(self._handle))

    def _fetch(self) -> None:
        # Each CPU's records are in order; those of different CPUs have no order but their own stamps.
        self._lib.perf_buffer__consume(self._handle)

    def _accept(self, record: bytes, size: int) -> bool:
        return size <= len(record) < size + 8  # the kernel pads a record to 8 bytes less the 4 of its length

    def close(self) -> None:  # noqa: D102
        handle, self._handle = self._handle, None
        if handle:
            self._lib.perf_buffer__free(handle)
        self._waiting.clear()


class RingWriter(Writer):
    """A user ring buffer: records that this process hands to a program."""

    def __init__(self, name: str, fd: syscall.Fd) -> None:
        make = libbpf.optional("user_ring_buffer__new", ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p], "1.1")
        number, void, size = ctypes.c_void_p, None, ctypes.c_uint32
        self._reserve = libbpf.optional("user_ring_buffer__reserve", number, [number, size], "1.1")
        self._submit = libbpf.optional("user_ring_buffer__submit", void, [number, number], "1.1")
        self._free = libbpf.optional("user_ring_buffer__free", void, [number], "1.1")
        self._name, self._fd = name, fd
        self._handle: int | None = make(self._fd.number, None)
        if not self._handle:
            raise _refused(name, ctypes.get_errno())

    def write(self, record: bytes) -> bool:  # noqa: D102
        place = self._reserve(self._handle, len(record))
        if not place:
            number = ctypes.get_errno()
            if number == errno.ENOSPC:
                return False
            raise KernelError(f"{self._name}: a record of {len(record)} bytes is refused: {errno_text(number)}", number)
        ctypes.memmove(place, record, len(record))  # libbpf has reserved just as many
        self._submit(self._handle, place)
        return True

    def close(self) -> None:  # noqa: D102
        handle, self._handle = self._handle, None
        if handle:
            self._free(handle)


def _refused(name: str, number: int) -> KernelError:
    if number in (errno.EPERM, errno.EACCES):
        return PrivilegeError(f"{name} cannot be opened for reading; {NEEDED}", number)
    return KernelError(f"{name} cannot be opened for reading: {errno_text(number)}", number)
