"""Streams of records: `RingBuf` and `PerfEventArray` from programs, `UserRingBuf` to them, and `Poller` for several at once.

A record is taken out of its stream only when it is handed over, so leaving a loop early, or an exception in it, loses none.
Any number of threads may read one stream: each record goes to one of them.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from ..btf import kinds
from ..btf.kinds import strip
from ..btf.layout import fitted
from ..btf.render import c_name
from ..engine.base import Records, Stream, Writer, closed
from ..errors import BpfTypeError, BpfValueError, ClosedError, MapError, shown
from .field import MapField
from .maps import AnyMap

if TYPE_CHECKING:
    import numpy

E = TypeVar("E")


class AnyStream(AnyMap, Generic[E]):
    """What streams of records share."""

    __slots__ = ("_bytes", "_codecs", "_ended", "_flexible", "_lock", "_reading", "_stream", "_wrong")
    parameters = ("event",)

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        # A signal handler may close the object in the middle of a read by the same thread: it gets the lock, and what the read
        # works on is then closed at the end of the read.
        self._lock = threading.RLock()
        self._reading = False
        self._stream: Stream | None = None
        self._wrong: BpfValueError | None = None
        self._ended = False
        bare = strip(self._shape.value)
        self._bytes = isinstance(bare, kinds.Void)
        self._flexible: kinds.Struct | None = None  # a type that ends in an array without a length
        if isinstance(bare, kinds.Struct) and bare.members:
            last = strip(bare.members[-1].type)
            self._flexible = bare if isinstance(last, kinds.Array) and not last.length else None
        self._codecs = {self._value.size: self._value.decode}

    def poll(self, timeout: float | None = None) -> Iterator[E]:
        """Yield records as they come; end when none comes for `timeout` seconds, or when the object is closed.

        Args:
            timeout: how long to wait for a record, in seconds; None waits for ever, 0 yields what is there.

        Raises:
            BpfValueError: a record has not the size of the event's type; it is passed over.
            ClosedError: the object was closed before.
        """
        left = _seconds(timeout, f"{self.name}.poll")
        with self._lock:
            stream = self._ready()
        found: list[E] = []
        records, take, pop = self._records(found), self._take, found.pop
        while True:
            if take(stream, 1, records):  # one by one: what is not handed over stays where it is
                yield pop()
            elif self._ended or left == 0 or not stream.wait(left) or self._ended:
                return

    def __iter__(self) -> Iterator[E]:
        """Yield the records that are there, without waiting."""
        return self.poll(0)

    def read(self, most: int = 1 << 20) -> list[E]:
        """Return up to `most` of the records that are there, without waiting.

        Raises:
            BpfValueError: a record has not the size of the event's type; it is passed over. Records before it are returned
                first, and the next call raises.
            ClosedError: the object was closed.
        """
        if not isinstance(most, int):
            raise BpfTypeError(f"{shown(most)} is no number of records", f"{self.name}.read")
        found: list[E] = []
        with self._lock:
            stream = self._ready()
            try:
                self._take(stream, most, self._records(found))
            except BpfValueError as error:
                self._postpone(error, found)
        return found

    def _take(self, stream: Stream, most: int, records: Records) -> int:
        """Read records, one thread at a time; none where the object is closed, or in the middle of another read."""
        with self._lock:
            if self._ended or self._reading:
                return 0
            self._reading = True
            try:
                return stream.read(most, records)
            finally:
                self._read_is_over(stream)

    def _read_is_over(self, stream: Stream) -> None:
        self._reading = False
        if self._ended:
            stream.close()

    def _records(self, found: list[E]) -> Records:
        """Say what becomes of records: they are appended to a list."""
        return Records(self._value.size, self._value.decode, self._other, found.append)

    def _other(self, view: memoryview, at: int, length: int) -> Any:
        return (self._codecs.get(length) or self._codec_of(length))(view, at)

    def for_each(self, callback: Callable[[E], object], timeout: float | None = None) -> None:
        """Call back for each record, as `poll` yields them. What the callback raises ends it; the record counts as taken."""
        for event in self.poll(timeout):
            callback(event)

    async def __aiter__(self) -> AsyncIterator[E]:
        """Yield records as they come, until the object is closed; for asyncio. With trio, wait for `fileno()` and iterate."""
        import asyncio

        # Descriptors of its own: an event loop watches each number once, and other coroutines may read as well.
        numbers = [os.dup(number) for number in self._open().descriptors()]
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        try:
            for number in numbers:
                loop.add_reader(number, ready.set)
            while not self._ended:
                ready.clear()
                for event in self:
                    yield event
                if not self._ended:
                    await ready.wait()
        except ClosedError:
            return  # between two looks
        finally:
            for number in numbers:
                loop.remove_reader(number)
                os.close(number)

    def drain_numpy(self) -> numpy.ndarray[Any, Any]:
        """Return the records that are there as one NumPy array, structured for structs: for events of a fixed size.

        They are copied once, out of the ring's memory, before programs may write there again.

        Raises:
            BpfTypeError: the events are declared as bytes, or end in an array without a length.
            BpfValueError: a record has not the size of the event's type. Those before it are returned first.
            NotSupportedError: NumPy is not installed.
            ClosedError: the object was closed.
        """
        from ..types.dtypes import dtype_of, numpy_module

        if self._bytes or self._flexible is not None:
            raise BpfTypeError(f"{self.name}: drain_numpy takes events of a fixed size; declare them as a Struct")
        numpy, dtype = numpy_module(), dtype_of(self._shape.value, self._shape.order)
        parts: list[Any] = []
        with self._lock:
            stream = self._ready()
            if self._reading:
                return numpy.empty(0, dtype)  # type: ignore[no-any-return]
            self._reading = True
            try:
                for view, first, stride, count in stream.read_equal(dtype.itemsize):
                    # As bytes without fields, which NumPy copies ten times as quickly as a struct.
                    event = f"V{dtype.itemsize}"
                    rows = numpy.dtype({"names": ["event"], "formats": [event], "offsets": [0], "itemsize": stride})
                    whole = numpy.ndarray((count,), rows, view, first)
                    parts.append(whole["event"].copy().view(dtype))
            except BpfValueError as error:
                self._postpone(error, parts)
            finally:
                self._read_is_over(stream)
        if not parts:
            return numpy.empty(0, dtype)  # type: ignore[no-any-return]
        return parts[0] if len(parts) == 1 else numpy.concatenate(parts)  # type: ignore[no-any-return]

    @property
    def lost(self) -> int:
        """How many records the kernel dropped for want of room, as far as it tells.

        It does so for perf arrays. A program that finds no room in a ring buffer has to count by itself.
        """
        stream = self._stream
        return stream.lost if stream is not None else 0

    def fileno(self) -> int:
        """Return a descriptor that is readable when there are records, for select, asyncio and trio.

        Raises:
            ClosedError: the object was closed.
            NotSupportedError: the engine has no descriptors.
        """
        return self._open().descriptors()[0]

    def _close(self) -> None:
        """End every iteration that waits; the map is closed with its object."""
        self._ended = True
        if self._stream is not None:
            self._stream.wake()
        with self._lock:
            stream, self._stream = self._stream, None  # its descriptors go when nobody waits any more
            if stream is not None and not self._reading:
                stream.close()

    def _open(self) -> Stream:
        with self._lock:
            return self._ready(waiting=False)

    def _ready(self, waiting: bool = True) -> Stream:
        """Return the stream, opened at its first use; with the lock held."""
        if self._ended:
            raise closed(self.name)
        if waiting and self._wrong is not None:
            error, self._wrong = self._wrong, None
            raise error
        return self._stream or self._start()

    def _postpone(self, error: BpfValueError, before: list[Any]) -> None:
        """Raise an error, unless there is something to return before it: then it is for the next call."""
        if not before:
            raise error
        self._wrong = error

    def _start(self) -> Stream:
        self._stream = self._map.stream()
        if self._stream.padded:
            # The kernel pads records: their true size is that of the type, with up to 7 bytes behind.
            for more in range(1, 8):
                self._codecs.setdefault(self._value.size + more, self._value.decode)
        return self._stream

    def _codec_of(self, length: int) -> Callable[[Any, int], Any]:
        if self._bytes:
            return lambda view, at: bytes(view[at : at + length])
        if self._flexible is not None and length >= self._flexible.size:
            from ..types.codec import codec_for

            made = fitted(self._flexible, length)
            decode = codec_for(made, self._shape.order).decode
            if len(self._codecs) < 256:  # lengths come from programs, and there may be many
                self._codecs[length] = decode
            return decode
        wanted = f"{c_name(self._shape.value)} has {self._value.size}"
        raise BpfValueError(f"a record of {length} bytes, and {wanted}", self.name)


class RingBuf(AnyStream[E], Generic[E]):
    """A ring buffer, shared by all CPUs: ``RingBuf[Event]``, or ``RingBuf[bytes]`` for records of any kind.

    ::

        for event in objs.events:               what is there
        for event in objs.events.poll(0.1):     what comes, until nothing comes for a while
        async for event in objs.events:         what comes, until the object is closed
        objs.events.drain_numpy()               what is there, as an array
    """

    __slots__ = ()
    map_type = "RINGBUF"

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[None, E]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> RingBuf[E]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...


class PerfEventArray(AnyStream[E], Generic[E]):
    """An array of perf buffers, one for each CPU; it is read as a `RingBuf` is. Only the records of one CPU are in order."""

    __slots__ = ()
    map_type = "PERF_EVENT_ARRAY"

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[None, E]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> PerfEventArray[E]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...


class UserRingBuf(AnyMap, Generic[E]):
    """A ring buffer from this process to programs, which take its records with ``bpf_user_ringbuf_drain()``."""

    __slots__ = ("_ended", "_lock", "_writer", "_writing")
    map_type = "USER_RINGBUF"
    parameters = ("event",)

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._lock = threading.RLock()  # as for streams: a signal handler may close in the middle of it
        self._writing = False
        self._writer: Writer | None = None
        self._ended = False

    def send(self, event: E) -> None:
        """Append a record; nothing waits.

        Raises:
            BpfValueError: the event does not fit its type.
            MapError: there is no room (ENOSPC) until a program takes some.
            NotSupportedError: libbpf is older than 1.1.
            ClosedError: the object was closed.
        """
        if isinstance(strip(self._shape.value), kinds.Void):
            if not isinstance(event, (bytes, bytearray, memoryview)):
                raise BpfTypeError(f"{shown(event)} is no bytes", self.name)
            raw = bytes(event)
        else:
            raw = self._pack_value(event)
        with self._lock:
            if self._ended:
                raise closed(self.name)
            writer = self._writer or self._map.writer()
            self._writer = writer
            if self._writing:
                raise MapError(f"{self.name}: a signal handler came in the middle of another send", errno.EBUSY)
            self._writing = True
            try:
                written = writer.write(raw)
            finally:
                self._writing = False
                if self._ended:
                    writer.close()
        if not written:
            raise MapError(f"{self.name}: no room for {len(raw)} bytes until a program takes some", errno.ENOSPC)

    def _close(self) -> None:
        """Let go of the memory; the map is closed with its object."""
        with self._lock:
            self._ended = True
            if self._writer is not None and not self._writing:
                self._writer.close()

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[None, E]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> UserRingBuf[E]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...


class Poller:
    """Waits for several streams at once.

    ::

        for stream, event in Poller(objs.opens, objs.closes).poll(timeout=0.1):
            ...
    """

    def __init__(self, *streams: AnyStream[Any]) -> None:
        for stream in streams:
            if not isinstance(stream, AnyStream):
                raise BpfTypeError(f"{shown(stream)} is no stream, such as a RingBuf", "Poller")
        self.streams = streams
        """What it waits for."""

    def poll(self, timeout: float | None = None) -> Iterator[tuple[AnyStream[Any], Any]]:
        """Yield records as they come, each with its stream; end when none comes for `timeout` seconds.

        It ends as well when one of the objects is closed.

        Raises:
            BpfValueError: a record has not the size of its event's type; it is passed over.
            ClosedError: one of the objects was closed before.
        """
        import select

        timeout = _seconds(timeout, "Poller.poll")
        poller = select.poll()
        for stream in self.streams:
            for number in stream._open().descriptors():
                poller.register(number, select.POLLIN)
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            found = False
            for stream in self.streams:
                if stream._ended:
                    return
                for event in stream.read(1):  # a turn for each, so that none starves the others
                    found = True
                    yield stream, event
            if found:
                end = None if timeout is None else time.monotonic() + timeout
                continue
            left = None if end is None else max(0.0, end - time.monotonic())
            ready = poller.poll(None if left is None else left * 1000)
            if not ready or any(stream._ended for stream in self.streams):
                return


def _seconds(timeout: Any, where: str) -> float | None:
    """Return a time to wait that the system takes: no more than three weeks at a time."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise BpfTypeError(f"{shown(timeout)} is no time in seconds, nor None", where)
    if not timeout >= 0:
        raise BpfValueError(f"{shown(timeout)} is no time to wait: seconds from 0 on, or None", where)
    return min(timeout, 1_800_000.0)
