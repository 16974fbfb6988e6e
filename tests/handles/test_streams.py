"""Streams of records: each record once and in order, in every style; overflow, early ends, closing, several threads."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from typing import Literal as L

import pytest
from support.data import testdata
from support.objects import ObjectBuilder

from bpfmodel import (
    Array,
    BpfObjects,
    BpfTypeError,
    BpfValueError,
    ClosedError,
    Finding,
    MapError,
    MemoryEngine,
    MismatchError,
    NotSupportedError,
    PerfEventArray,
    Poller,
    Program,
    RingBuf,
    Struct,
    UserRingBuf,
    Var,
    u8,
    u16,
    u32,
    u64,
)
from bpfmodel.engine import Engine, rings

pytestmark = pytest.mark.kernel
SOURCE = testdata("streams")


class Event(Struct):
    number: u64
    kind: u32
    mark: u32


class Line(Struct):
    length: u32
    text: Array[u8, L[0]]


class Objects(BpfObjects):
    events: RingBuf[Event]
    small: RingBuf[Event]
    perf: PerfEventArray[Event]
    inbox: UserRingBuf[Event]
    next_number: Var[u64]
    refused: Var[u64]
    received: Var[u64]
    total: Var[u64]
    count: Var[u32]
    odd_every: Var[u32]
    fill: Program
    fill_small: Program
    say: Program
    tell: Program
    take: Program


@pytest.fixture(params=["memory", "libbpf"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Rings are read out of their memory where the processor keeps loads in order, and by libbpf elsewhere: both, here."""
    if request.param == "memory" and not rings.ORDERED:
        pytest.skip("this processor does not keep loads in order")
    monkeypatch.setattr(rings, "ORDERED", request.param == "memory")
    return str(request.param)


@pytest.fixture
def objs(kernel: Engine, way: str) -> Iterator[Objects]:
    with Objects.load_and_assign(SOURCE, engine=kernel) as loaded:
        yield loaded


def produce(objs: Objects, count: int) -> None:
    objs.count.set(count)
    objs.fill.run()


def numbers(events: list[Event]) -> list[int]:
    return [event.number for event in events]


def test_an_empty_stream(objs: Objects) -> None:
    np = pytest.importorskip("numpy", reason="NumPy is an extra, and not installed")
    assert list(objs.events) == []
    assert objs.events.drain_numpy().dtype.names == ("number", "kind", "mark")
    assert objs.events.drain_numpy().dtype == np.dtype([("number", "u8"), ("kind", "u4"), ("mark", "u4")])


def called_back(objs: Objects) -> list[int]:
    found: list[Event] = []
    objs.events.for_each(found.append, timeout=0)
    return numbers(found)


async def awaited(objs: Objects, count: int) -> list[int]:
    found = []
    async for event in objs.events:
        found.append(event.number)
        if len(found) == count:
            break
    return found


def test_values_are_whole(objs: Objects) -> None:
    produce(objs, 3)
    assert list(objs.events) == [Event(0, 1, 0), Event(1, 1, 1), Event(2, 1, 2)]


def test_discarded_records_are_passed_over(objs: Objects) -> None:
    pytest.importorskip("numpy", reason="NumPy is an extra, and not installed")
    objs.odd_every.set(3)
    produce(objs, 500)
    assert numbers(objs.events.read(100)) == list(range(100))
    assert objs.events.drain_numpy()["number"].tolist() == list(range(100, 500))


RECORDS = int(os.environ.get("BPFMODEL_RECORDS", "50000"))
"""How many records are read in each style; ten million have been, and take minutes."""


STYLES: dict[str, Callable[[Objects], list[int]]] = {
    "drain_numpy": lambda objs: objs.events.drain_numpy()["number"].tolist(),
    "read": lambda objs: numbers(objs.events.read()),
    "iterate": lambda objs: [event.number for event in objs.events],
    "poll": lambda objs: [event.number for event in objs.events.poll(0)],
    "for_each": lambda objs: called_back(objs),
    "poller": lambda objs: [event.number for _, event in Poller(objs.events, objs.small).poll(0)],
    "async": lambda objs: asyncio.run(awaited(objs, 2500)),
}


@pytest.mark.parametrize("style", STYLES)
def test_each_record_once_and_in_order_through_a_ring_that_is_almost_full(objs: Objects, style: str) -> None:
    if style == "drain_numpy":
        pytest.importorskip("numpy", reason="NumPy is an extra, and not installed")
    expected = 0
    while expected < RECORDS:
        produce(objs, 2500)
        assert STYLES[style](objs) == list(range(expected, expected + 2500))
        expected += 2500
    assert objs.refused.get() == 0


def test_overflow_is_counted_exactly(objs: Objects) -> None:
    produce(objs, 10_000)
    room = 65536 // 24
    assert objs.next_number.get() in (room, room - 1), "the kernel keeps a byte free"
    assert objs.next_number.get() + objs.refused.get() == 10_000
    assert len(objs.events.read()) == objs.next_number.get()


def test_leaving_early_or_by_an_exception_loses_nothing(objs: Objects) -> None:
    produce(objs, 100)
    found = []
    for event in objs.events:
        found.append(event.number)
        if event.number == 9:
            break

    def failing(event: Event) -> None:
        found.append(event.number)
        raise RuntimeError("the consumer's own")

    with pytest.raises(RuntimeError, match="consumer"):
        objs.events.for_each(failing, timeout=0)
    iterator = objs.events.poll(0)
    found.append(next(iterator).number)
    iterator.close()  # type: ignore[attr-defined]
    assert found + numbers(objs.events.read(5)) + numbers(list(objs.events)) == list(range(100))


def test_polling_waits_and_ends(objs: Objects) -> None:
    start = time.monotonic()
    assert list(objs.events.poll(0.05)) == []
    assert time.monotonic() - start >= 0.05
    timer = threading.Timer(0.05, produce, (objs, 3))
    timer.start()
    found = [next(objs.events.poll(10)).number]
    timer.join()
    assert found + numbers(list(objs.events)) == [0, 1, 2]


def test_a_descriptor_to_wait_with(objs: Objects) -> None:
    assert select.select([objs.events], [], [], 0) == ([], [], [])
    produce(objs, 1)
    assert select.select([objs.events], [], [], 0) == ([objs.events], [], [])
    assert len(list(objs.events)) == 1


def test_several_threads_share_a_stream(objs: Objects) -> None:
    found: list[list[int]] = [[] for _ in range(4)]

    def consume(mine: list[int]) -> None:
        for event in objs.events.poll(0.5):
            mine.append(event.number)

    threads = [threading.Thread(target=consume, args=(mine,)) for mine in found]
    for thread in threads:
        thread.start()
    for _ in range(40):
        produce(objs, 500)
        while objs.next_number.get() - sum(map(len, found)) > 1500:
            time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert objs.refused.get() == 0
    assert all(mine == sorted(mine) for mine in found)
    assert sorted(itertools.chain.from_iterable(found)) == list(range(20_000))


@pytest.mark.parametrize("waiting", ["poll", "async", "poller"])
def test_closing_ends_who_waits(objs: Objects, waiting: str) -> None:
    async def wait() -> None:
        async for _ in objs.events:
            pass

    def consume() -> None:
        if waiting == "async":
            asyncio.run(wait())
        else:
            list(objs.events.poll(None) if waiting == "poll" else Poller(objs.events, objs.small).poll(None))

    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            consume()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    time.sleep(0.1)
    assert thread.is_alive()
    objs.close()
    thread.join(10)
    assert not thread.is_alive()
    assert errors == []


def test_use_after_close(objs: Objects, no_leak: None) -> None:
    produce(objs, 5)
    iterator = iter(objs.events)
    next(iterator)
    objs.inbox.send(Event(1, 2, 3))
    objs.close()
    uses: list[Any] = [
        lambda: list(objs.events), objs.events.read, objs.events.drain_numpy, objs.events.fileno,
        lambda: list(objs.perf.poll(0)), lambda: objs.inbox.send(Event(1, 2, 3)), lambda: next(objs.events.poll(1)),
        lambda: list(Poller(objs.events).poll(0)),
    ]  # fmt: skip
    for use in uses:
        with pytest.raises(ClosedError):
            use()
    assert list(iterator) == [], "what was begun ends"


@pytest.mark.parametrize("read", ["poll", "read", "drain_numpy"])
def test_a_signal_handler_may_close_in_the_middle_of_a_read(objs: Objects, read: str) -> None:
    """It runs in the thread that reads, between any two steps of it."""
    if read == "drain_numpy":
        pytest.importorskip("numpy", reason="NumPy is an extra, and not installed")
    before = signal.signal(signal.SIGALRM, lambda *_: objs.close())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        with contextlib.suppress(ClosedError):
            while not objs.closed:
                produce(objs, 2000)
                _ = list(objs.events.poll(0)) if read == "poll" else getattr(objs.events, read)()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert objs.closed


@pytest.mark.parametrize("timeout", [-1, float("nan"), "1", True, b""])
def test_times_that_are_none(objs: Objects, timeout: Any) -> None:
    with pytest.raises(BpfValueError, match=r"events\.poll: .* is no time"):
        list(objs.events.poll(timeout))
    with pytest.raises(BpfValueError, match=r"Poller\.poll: .* is no time"):
        list(Poller(objs.events).poll(timeout))
    with pytest.raises(BpfTypeError, match="is no number of records"):
        objs.events.read(timeout if timeout == b"" else "1")


def test_records_of_another_size_are_told_and_passed_over(objs: Objects) -> None:
    pytest.importorskip("numpy", reason="NumPy is an extra, and not installed")
    for read in (lambda: numbers(objs.events.read()), lambda: objs.events.drain_numpy()["number"].tolist()):
        objs.next_number.set(0)
        produce(objs, 2)
        objs.say.run()
        produce(objs, 2)
        assert read() == [0, 1]
        with pytest.raises(BpfValueError, match=r"events: a record of 9 bytes, and .*16"):
            read()
        assert read() == [2, 3]


def test_bytes_and_flexible_arrays_take_records_of_any_size(kernel: Engine, way: str) -> None:
    class Raw(BpfObjects):
        events: RingBuf[bytes]
        say: Program

    class Lines(BpfObjects):
        events: RingBuf[Line]
        say: Program

    with Raw.load_and_assign(SOURCE, engine=kernel) as raw:
        raw.say.run()
        assert list(raw.events) == [b"\5\0\0\0hello"]
        with pytest.raises(BpfTypeError, match="drain_numpy takes events of a fixed size"):
            raw.events.drain_numpy()
    with Lines.load_and_assign(SOURCE, engine=kernel) as lines:
        lines.say.run()
        assert list(lines.events) == [Line(5, list(b"hello"))]


@pytest.fixture
def one_cpu() -> Iterator[None]:
    """Stay on one CPU: each has a perf buffer of its own, and tells what it lost with its own next record."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


def test_a_perf_array(objs: Objects, one_cpu: None) -> None:
    assert list(objs.perf) == []  # opened from here on
    for _ in range(100):
        objs.tell.run(bytes(64))
    found = list(objs.perf.poll(0))
    assert sorted(numbers(found)) == list(range(100))
    assert {event.kind for event in found} == {3}
    assert objs.perf.lost == 0
    objs.tell.run(bytes(64), repeat=100_000)
    found = list(objs.perf)
    total = objs.next_number.get()
    for _ in range(10):
        objs.tell.run(bytes(64))
    found += list(objs.perf)  # the kernel tells what it lost with the next record it has room for
    refused = objs.refused.get()
    assert refused > 0
    assert len(found) + refused == total + 10 - 100
    assert 0 < objs.perf.lost <= refused


def test_a_user_ring_buffer(objs: Objects) -> None:
    for number in range(50):
        objs.inbox.send(Event(number, 0, 0))
    assert objs.take.run().retval == 0
    assert (objs.received.get(), objs.total.get()) == (50, sum(range(50)))

    def flood() -> None:
        for number in range(1000):
            objs.inbox.send(Event(number, 0, 0))

    with pytest.raises(MapError, match="inbox: no room for 16 bytes"):
        flood()
    wrong: Any = {"number": -1, "kind": 0, "mark": 0}
    with pytest.raises(BpfValueError, match=r"inbox\.value\.number: -1 is out of range"):
        objs.inbox.send(wrong)


class Short(Struct, name="event"):
    number: u64
    kind: u16


class Nothing(Struct):
    number: u64


def test_the_events_type_is_checked() -> None:
    class Wrong(BpfObjects):
        events: RingBuf[Short]

    class Typed(BpfObjects):
        small: RingBuf[Short]

    class Unknown(BpfObjects):
        events: RingBuf[Nothing]

    class Loose(BpfObjects):
        events: RingBuf[Any]

    for cls, name in ((Wrong, "events"), (Typed, "small")):
        with pytest.raises(MismatchError) as caught:
            cls.check(SOURCE)
        assert [finding.path for finding in caught.value.findings] == [f"{name}.event.kind", f"{name}.event.mark"]
    assert [finding.path for finding in Unknown.check(SOURCE)] == ["events.event"]
    assert isinstance(Unknown.check(SOURCE)[0], Finding)
    assert "so nothing was checked" in Unknown.check(SOURCE)[0].message
    with pytest.raises(MismatchError, match="does not say what its records are"):
        Loose.check(SOURCE)
    assert Objects.check(SOURCE) == ()


def test_rings_in_memory_take_records_from_tests() -> None:
    with Objects.load_and_assign(SOURCE, engine=MemoryEngine()) as objs:
        ring: Any = objs.events._map
        ring.emit(bytes(16))
        assert list(objs.events) == [Event(0, 0, 0)]
        threading.Timer(0.05, ring.emit, (bytes(16),)).start()
        assert next(objs.events.poll(10)) == Event(0, 0, 0)
        assert list(objs.events.poll(0.01)) == []
        with pytest.raises(NotSupportedError):
            objs.events.fileno()


def test_descriptors_written_down_as_a_perf_arrays_value_are_no_events() -> None:
    made = ObjectBuilder()
    word, long = made.btf.common("__u32"), made.btf.common("__u64")
    made.map("samples", 4, key=word, value=word, max_entries=0)
    made.variable("unused", made.btf.ptr(made.btf.struct("event", 8, [("number", long)])), 8, section=".bss")

    class Right(Struct, name="event"):
        number: u64

    class Samples(BpfObjects):
        samples: PerfEventArray[Right]

    class Wrong(BpfObjects):
        samples: PerfEventArray[Event]

    assert Samples.check(made.build()) == ()
    with pytest.raises(MismatchError, match=r"samples\.event\.kind"):
        Wrong.check(made.build())
