"""Each kind of map with struct values: as Python uses it over both engines, and as a program in the kernel sees it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any
from typing import Literal as L

import pytest
from support.data import testdata

from bpfmodel import (
    Array,
    ArrayMap,
    ArrayOfMaps,
    BloomFilter,
    BpfObjects,
    BpfTypeError,
    BpfValueError,
    ClosedError,
    CollectionSpec,
    Engine,
    Finding,
    HashMap,
    HashOfMaps,
    LpmTrie,
    LruHashMap,
    LruPerCpuHashMap,
    Map,
    MapError,
    MismatchError,
    NotSupportedError,
    PerCpu,
    PerCpuArrayMap,
    PerCpuHashMap,
    ProgArray,
    Program,
    Queue,
    SpinLock,
    Stack,
    StackTrace,
    Struct,
    field,
    u8,
    u32,
    u64,
)

SPEC = CollectionSpec.from_file(testdata("kinds"))
PACKET = bytes(64)


class Stats(Struct):
    packets: u64
    bytes: u64


class Prefix(Struct):
    prefixlen: u32
    address: Array[u8, L[4]]


class Guarded(Struct):
    lock: SpinLock
    packets: u64
    bytes: u64


class Objects(BpfObjects):
    hash: HashMap[u32, Stats]
    lru: LruHashMap[u32, Stats]
    cpu_hash: PerCpuHashMap[u32, Stats]
    cpu_lru: LruPerCpuHashMap[u32, Stats]
    array: ArrayMap[Stats]
    cpu_array: PerCpuArrayMap[Stats]
    routes: LpmTrie[Prefix, Stats]
    queue: Queue[Stats]
    stack: Stack[Stats]
    bloom: BloomFilter[Stats]
    inner_a: HashMap[u32, Stats]
    by_index: ArrayOfMaps[HashMap[u32, Stats]]
    by_key: HashOfMaps[u32, HashMap[u32, Stats]]
    jumps: ProgArray
    traces: StackTrace
    locked: HashMap[u32, Guarded]


class Running(Objects):
    tasks: Map[u32, Stats]
    hashes: Program
    arrays: Program
    route: Program
    ends: Program
    nested: Program
    land_drop: Program
    land_tx: Program
    jump: Program
    lock_it: Program
    trace: Program
    task: Program


@pytest.fixture
def objs(engine: Engine) -> Iterator[Objects]:
    with Objects.load_and_assign(testdata("kinds"), engine=engine) as loaded:
        yield loaded


@pytest.fixture
def running(kernel: Engine) -> Iterator[Running]:
    with Running.load_and_assign(testdata("kinds"), engine=kernel) as loaded:
        yield loaded


def on_each_cpu(of: Any, packets: int, count: int) -> list[Stats]:
    """Make a value with a copy for each CPU: the first has `packets`, the others 0, and all have `count` bytes."""
    cpus = of._map.cpus
    return [Stats(packets if cpu == 0 else 0, count) for cpu in range(cpus)]


# Hashes


@pytest.fixture(params=["hash", "lru", "cpu_hash", "cpu_lru"])
def mapping(request: pytest.FixtureRequest, objs: Objects) -> tuple[Any, Callable[[int], Any]]:
    """Each hash of 16 entries, and what makes values for it."""
    of = getattr(objs, request.param)
    if request.param.startswith("cpu"):
        return of, lambda number: on_each_cpu(of, number, number * 100)
    return of, lambda number: Stats(number, number * 100)


def test_a_hash_is_a_mapping(mapping: tuple[Any, Callable[[int], Any]]) -> None:
    of, value = mapping
    assert len(of) == 0 and dict(of) == {}
    of[1] = value(1)
    assert of[1] == value(1) and of.get(1) == value(1) and 1 in of
    assert 2 not in of and of.get(2) is None and of.get(2, "none") == "none"
    for use in (lambda: of[2], lambda: of.pop(2), lambda: of.__delitem__(2), lambda: of.replace(2, value(2))):
        with pytest.raises(KeyError) as caught:
            use()
        assert caught.value.args == (2,)
    assert 2 not in of
    of.replace(1, value(11))
    assert of[1] == value(11)
    of.insert(2, value(2))
    with pytest.raises(MapError) as refused:
        of.insert(2, value(3))
    assert refused.value.errno == errno.EEXIST and of[2] == value(2)
    assert of.setdefault(2, value(9)) == value(2) and of.setdefault(3, value(3)) == value(3) == of[3]
    of.update({4: value(4)})
    of.update([(5, value(5))])
    expected = {1: value(11), 2: value(2), 3: value(3), 4: value(4), 5: value(5)}
    assert dict(of.items()) == expected == dict(of)
    assert len(of) == 5 and sorted(of) == sorted(of.keys()) == [1, 2, 3, 4, 5]
    assert sorted(str(v) for v in of.values()) == sorted(
        str(PerCpu(v) if isinstance(v, list) else v) for v in expected.values()
    )
    assert of.pop(4) == value(4) and of.pop(4, None) is None and 4 not in of
    del of[5]
    assert 5 not in of
    key, found = of.popitem()
    assert found == expected[key] and key not in of
    of.clear()
    assert len(of) == 0 and list(of) == []
    with pytest.raises(KeyError, match="empty"):
        of.popitem()


@pytest.mark.parametrize("name", ["hash", "cpu_hash", "inner_a", "locked"])
def test_a_full_hash_has_an_errno_and_still_replaces(objs: Objects, name: str) -> None:
    of: Any = getattr(objs, name)
    made: dict[str, Callable[[], Any]] = {
        "cpu_hash": lambda: on_each_cpu(of, 1, 1), "locked": lambda: Guarded(SpinLock(), 1, 1),
    }  # fmt: skip
    value = made.get(name, lambda: Stats(1, 1))()
    for key in range(of.max_entries):
        of[key] = value
    for use in (of.__setitem__, of.insert, lambda key, value: of.update({key: value})):
        with pytest.raises(MapError, match=name) as caught:
            use(1000, value)
        assert caught.value.errno == errno.E2BIG
    assert 1000 not in of and len(of) == of.max_entries
    of[0] = value
    of.replace(1, value)
    del of[2]
    of[1000] = value
    assert 1000 in of


@pytest.mark.parametrize("name", ["lru", "cpu_lru"])
def test_a_full_lru_drops_another_and_takes_the_new_one(objs: Objects, name: str) -> None:
    of: Any = getattr(objs, name)
    for key in range(100):
        of[key] = Stats(key, 0) if name == "lru" else on_each_cpu(of, key, 0)
        assert key in of
    assert 0 < len(of) <= 16


@pytest.mark.parametrize("name", ["cpu_hash", "cpu_lru"])
def test_values_of_each_cpu_are_summed(objs: Objects, name: str) -> None:
    of: Any = getattr(objs, name)
    cpus = of._map.cpus
    of[3] = [Stats(cpu + 1, 10) for cpu in range(cpus)]
    found = of[3]
    assert isinstance(found, PerCpu) and len(found) == cpus
    assert found.sum() == Stats(cpus * (cpus + 1) // 2, 10 * cpus)
    for wrong in ([Stats(9, 9)] * (cpus + 1), [], [Stats(9, 9)] * (cpus - 1)):
        with pytest.raises(BpfValueError, match=name):
            of[3] = wrong
    with pytest.raises(BpfTypeError, match=name):
        of[3] = Stats(9, 9)
    with pytest.raises(BpfValueError, match=r"\[0\].*packets"):
        of[3] = [{"packets": -1, "bytes": 0}] * cpus
    assert of[3] == found


@pytest.mark.kernel
def test_hashes_are_shared_with_the_program(running: Running) -> None:
    assert running.hashes.run().retval == 0
    for plain in (running.hash, running.lru):
        assert dict(plain) == {8: Stats(8, 800)}
    running.hash[7], running.lru[7] = Stats(3, 30), Stats(5, 50)
    running.cpu_hash[7] = on_each_cpu(running.cpu_hash, 10, 1)
    running.cpu_lru[7] = on_each_cpu(running.cpu_lru, 20, 2)
    assert running.hashes.run().retval == 4 + 16 * 6
    assert running.hash[7] == Stats(4, 30) and running.lru[7] == Stats(6, 50)
    cpus = len(running.cpu_hash[7])
    assert running.cpu_hash[7].sum() == Stats(11, cpus) and running.cpu_lru[7].sum() == Stats(21, 2 * cpus)
    for each in (running.cpu_hash[8], running.cpu_lru[8]):
        assert each.sum() in [Stats(8 * n, 800 * n) for n in (1, 2)]  # run on one CPU or on two
    del running.hash[7]
    assert running.hashes.run().retval == 16 * 7


# Arrays


def test_an_array_is_a_sequence(objs: Objects) -> None:
    array = objs.array
    assert len(array) == 8 and list(array) == [Stats(0, 0)] * 8
    array[0], array[-1] = Stats(1, 10), Stats(8, 80)
    assert array[7] == Stats(8, 80) == array[-1] and array[-8] == Stats(1, 10)
    array[-2] = Stats(7, 70)
    assert array[5:] == [Stats(0, 0), Stats(7, 70), Stats(8, 80)]
    assert array[::-7] == [Stats(8, 80), Stats(1, 10)] and array[3:3] == [] and array[-2:100] == array[6:8]
    assert array.index(Stats(7, 70)) == 6 and array.count(Stats(0, 0)) == 5 and Stats(8, 80) in array
    assert next(reversed(array)) == Stats(8, 80)
    for wrong in (8, -9, 2**32, -(2**32)):
        with pytest.raises(IndexError, match="array"):
            array[wrong]
        with pytest.raises(IndexError, match="array"):
            array[wrong] = Stats(0, 0)
    for kind in ("1", 1.0, None):
        with pytest.raises(BpfTypeError, match="array"):
            array[kind]  # type: ignore[call-overload]
    with pytest.raises(BpfValueError, match=r"array.*packets"):
        array[0] = {"packets": 2**64, "bytes": 0}  # type: ignore[assignment]
    assert array[0] == Stats(1, 10)


def test_an_array_of_values_of_each_cpu(objs: Objects) -> None:
    array = objs.cpu_array
    cpus = array._map.cpus
    assert len(array) == 4 and len(array[0]) == cpus and array[0].sum() == Stats(0, 0)
    array[-1] = [Stats(cpu, 2) for cpu in range(cpus)]
    assert array[3] == [Stats(cpu, 2) for cpu in range(cpus)]
    assert [each.sum() for each in array[2:]] == [Stats(0, 0), Stats(sum(range(cpus)), 2 * cpus)]
    assert [each.sum().bytes for each in array] == [0, 0, 0, 2 * cpus]
    with pytest.raises(IndexError):
        array[4]
    with pytest.raises(IndexError):
        array[-5]


@pytest.mark.kernel
def test_arrays_are_shared_with_the_program(running: Running) -> None:
    running.array[3] = Stats(5, 77)
    running.cpu_array[1] = on_each_cpu(running.cpu_array, 40, 0)
    assert running.arrays.run(PACKET).retval == 77
    assert running.array[3] == Stats(6, 77) and running.array[2] == running.array[4] == Stats(0, 0)
    assert running.cpu_array[1].sum() == Stats(41, 0) and running.cpu_array[0].sum() == Stats(0, 0)


# Tries


def test_a_trie_takes_networks_addresses_and_structs(objs: Objects) -> None:
    routes: Any = objs.routes
    routes[ip_network("10.0.0.0/8")] = Stats(8, 0)
    routes[ip_network("10.1.0.0/16")] = Stats(16, 0)
    routes[Prefix(32, [10, 1, 1, 1])] = Stats(32, 0)
    assert routes[ip_address("10.1.1.1")] == Stats(32, 0)
    assert routes[ip_address("10.1.1.2")] == Stats(16, 0)
    assert routes[Prefix(32, [10, 2, 0, 0])] == Stats(8, 0)
    assert ip_address("10.200.0.1") in routes and ip_address("11.0.0.1") not in routes
    with pytest.raises(KeyError):
        routes[ip_address("11.0.0.1")]
    assert routes.get(ip_address("11.0.0.1")) is None
    assert len(routes) == 3
    assert {(key.prefixlen, *key.address): value for key, value in routes.items()} == {
        (8, 10, 0, 0, 0): Stats(8, 0), (16, 10, 1, 0, 0): Stats(16, 0), (32, 10, 1, 1, 1): Stats(32, 0),
    }  # fmt: skip
    with pytest.raises(KeyError):
        del routes[ip_network("10.1.0.0/24")]  # only what is there itself
    assert len(routes) == 3
    del routes[ip_network("10.1.0.0/16")]
    assert routes[ip_address("10.1.1.2")] == Stats(8, 0)
    for wrong in (ip_network("fe80::/64"), ip_address("::1")):
        with pytest.raises(BpfValueError, match=r"routes\.key"):
            routes[wrong] = Stats(0, 0)
    with pytest.raises(MapError) as caught:
        routes[Prefix(33, [1, 2, 3, 4])] = Stats(0, 0)
    assert caught.value.errno == errno.EINVAL
    routes.insert(ip_network("0.0.0.0/0"), Stats(0, 1))
    assert routes[ip_address("200.0.0.1")] == Stats(0, 1)
    with pytest.raises(MapError) as caught:
        routes.insert(ip_network("0.0.0.0/0"), Stats(0, 2))
    assert caught.value.errno == errno.EEXIST
    routes.clear()
    assert len(routes) == 0
    for n in range(8):
        routes[ip_address(n)] = Stats(n, 0)
    with pytest.raises(MapError) as caught:
        routes[ip_address(8)] = Stats(0, 0)
    assert caught.value.errno == errno.ENOSPC and len(routes) == 8


@pytest.mark.kernel
def test_a_trie_is_shared_with_the_program(running: Running) -> None:
    routes: Any = running.routes
    routes[ip_network("10.0.0.0/8")] = Stats(1, 88)
    routes[ip_network("10.1.2.0/24")] = Stats(1, 24)
    assert running.route.run(PACKET).retval == 24
    assert routes[ip_network("10.1.2.0/24")] == Stats(2, 24) and routes[ip_network("10.0.0.0/8")] == Stats(1, 88)
    assert routes[ip_address("192.168.5.5")] == Stats(16, 1600)
    del routes[ip_network("10.1.2.0/24")]
    assert running.route.run(PACKET).retval == 88


# Queues, stacks, Bloom filters


@pytest.mark.parametrize(("name", "order"), [("queue", [1, 2, 3]), ("stack", [3, 2, 1])])
def test_push_pop_and_peek(objs: Objects, name: str, order: list[int]) -> None:
    of: Any = getattr(objs, name)
    for take in (of.pop, of.peek):
        with pytest.raises(IndexError, match=f"{name} is empty"):
            take()
    for number in (1, 2, 3):
        of.push(Stats(number, number))
    found = []
    for _ in range(3):
        peeked = of.peek()
        found.append(of.pop().packets)
        assert peeked == Stats(found[-1], found[-1])
    assert found == order
    with pytest.raises(IndexError):
        of.pop()


@pytest.mark.parametrize(("name", "left"), [("queue", [2, 3, 4, 9]), ("stack", [9, 4, 3, 2])])
def test_a_full_one_refuses_unless_told_to_drop_the_oldest(objs: Objects, name: str, left: list[int]) -> None:
    of: Any = getattr(objs, name)
    for number in (1, 2, 3, 4):
        of.push(Stats(number, 0))
    with pytest.raises(MapError, match=name) as caught:
        of.push(Stats(9, 0))
    assert caught.value.errno == errno.E2BIG
    with pytest.raises(BpfValueError, match=r"packets"):
        of.push({"packets": 2**64, "bytes": 0}, drop_oldest=True)
    of.push(Stats(9, 0), drop_oldest=True)
    assert [of.pop().packets for _ in range(4)] == left
    with pytest.raises(IndexError):
        of.peek()


def test_a_bloom_filter_never_misses(objs: Objects) -> None:
    assert Stats(1, 1) not in objs.bloom
    for number in range(40):
        objs.bloom.add(Stats(number, 1))
    assert all(Stats(number, 1) in objs.bloom for number in range(40))
    assert sum(Stats(number, 2) in objs.bloom for number in range(1000)) < 500
    with pytest.raises(BpfValueError, match=r"bloom.*packets"):
        objs.bloom.add({"packets": -1, "bytes": 0})  # type: ignore[arg-type]


@pytest.mark.kernel
def test_maps_without_keys_are_shared_with_the_program(running: Running) -> None:
    for of in (running.queue, running.stack):
        of.push(Stats(1, 5))
        of.push(Stats(2, 6))
    assert running.ends.run(PACKET).retval == 0
    assert [running.queue.pop() for _ in range(2)] == [Stats(2, 6), Stats(101, 5)]
    assert [running.stack.pop() for _ in range(2)] == [Stats(102, 6), Stats(1, 5)]
    assert Stats(3, 3) in running.bloom
    running.bloom.add(Stats(4, 4))
    assert running.ends.run(PACKET).retval == 1


# Maps of maps


def test_maps_in_an_array(objs: Objects) -> None:
    outer = objs.by_index
    assert len(outer) == 4 and 1 in outer and 0 not in outer
    objs.inner_a[4] = Stats(4, 44)
    assert outer[1][4] == Stats(4, 44)
    outer[1][5] = Stats(5, 55)
    assert objs.inner_a[5] == Stats(5, 55)
    made = outer.create()
    assert isinstance(made, HashMap) and made.max_entries == 8 and 0 not in outer
    outer[0] = made
    made[1] = Stats(1, 1)
    assert dict(outer[0]) == {1: Stats(1, 1)} and 0 in outer
    outer[3] = objs.inner_a
    assert dict(outer[3]) == dict(objs.inner_a)
    del outer[1]
    assert 1 not in outer and objs.inner_a[4] == Stats(4, 44)
    for use in (lambda: outer[1], lambda: outer.__delitem__(1)):
        with pytest.raises(KeyError):
            use()
    for wrong in (4, -1):
        with pytest.raises(IndexError, match="by_index"):
            outer[wrong]
        with pytest.raises(IndexError, match="by_index"):
            outer[wrong] = made
    with pytest.raises(BpfTypeError, match="by_index"):
        outer[0] = {1: 2}  # type: ignore[assignment]
    with pytest.raises(BpfValueError, match="by_index"):
        outer.create(-1)
    assert dict(outer[0]) == {1: Stats(1, 1)}


def test_maps_in_a_hash(objs: Objects) -> None:
    outer = objs.by_key
    assert len(outer) == 0 and list(outer) == [] and 5 not in outer
    made = outer.create()
    outer[5] = made
    outer[6] = objs.inner_a
    made[1] = Stats(1, 2)
    objs.inner_a[1] = Stats(3, 4)
    assert outer[5][1] == Stats(1, 2) and outer[6][1] == Stats(3, 4)
    assert sorted(outer) == [5, 6] and len(outer) == 2 and 5 in outer
    outer[5] = objs.inner_a
    assert outer[5][1] == Stats(3, 4)
    assert made[1] == Stats(1, 2)  # lives on
    del outer[5]
    for use in (lambda: outer[5], lambda: outer.__delitem__(5)):
        with pytest.raises(KeyError) as caught:
            use()
        assert caught.value.args == (5,)
    with pytest.raises(BpfTypeError, match="by_key"):
        outer[5] = made._map  # type: ignore[assignment]
    with pytest.raises(BpfValueError, match="by_key"):
        outer[-1] = made
    for key in (10, 11, 12):
        outer[key] = outer.create()
    with pytest.raises(MapError) as refused:
        outer[13] = made
    assert refused.value.errno == errno.E2BIG


def test_a_map_that_only_its_place_holds_stays(objs: Objects) -> None:
    objs.by_key[1] = objs.by_key.create()
    objs.by_key[1][2] = Stats(3, 4)
    objs.by_index[2] = objs.by_key[1]
    del objs.by_key[1]
    assert objs.by_index[2][2] == Stats(3, 4)


@pytest.mark.kernel
def test_maps_of_maps_are_shared_with_the_program(running: Running) -> None:
    running.by_index[2] = running.by_index.create()
    running.by_index[2][7] = Stats(2, 0)
    running.by_key[5] = running.inner_a
    running.inner_a[7] = Stats(4, 0)
    assert running.nested.run(PACKET).retval == 3 + 16 * 5
    assert dict(running.by_index[2]) == {7: Stats(3, 0), 8: Stats(8, 800)}
    assert dict(running.inner_a) == {7: Stats(5, 0), 8: Stats(8, 800)}
    del running.by_index[2]
    assert running.nested.run(PACKET).retval == 16 * 6


# Programs, stacks, locks, tasks


@pytest.mark.kernel
def test_a_tail_call_goes_where_the_place_says(running: Running) -> None:
    jumps = running.jumps
    assert running.jump.run(PACKET).retval == 0 and 1 not in jumps and len(jumps) == 4
    jumps[1] = running.land_drop
    assert running.jump.run(PACKET).retval == 1 and 1 in jumps
    dropped = jumps[1]
    jumps[1] = running.land_tx
    assert running.jump.run(PACKET).retval == 3 and jumps[1] != dropped > 0
    del jumps[1]
    assert running.jump.run(PACKET).retval == 0
    for use in (lambda: jumps[1], lambda: jumps.__delitem__(1)):
        with pytest.raises(KeyError):
            use()
    with pytest.raises(IndexError, match="jumps"):
        jumps[4] = running.land_tx
    for wrong in (3, None, running.hash):
        with pytest.raises(BpfTypeError, match=r"jumps\[1\]"):
            jumps[1] = wrong  # type: ignore[assignment]
    with pytest.raises(MapError):
        jumps[1] = running.hashes  # of another type
    assert 1 not in jumps


@pytest.mark.kernel
def test_a_stack_trace_is_read_by_its_number(running: Running) -> None:
    assert len(running.traces) == 0
    assert running.trace.run().retval == 0
    number = running.hash[1].packets
    assert running.hash[1].bytes == 1 and list(running.traces) == [number] and len(running.traces) == 1
    trace = running.traces[number]
    assert number in running.traces and 0 < len(trace) < 127
    assert all(address >= 1 << 63 for address in trace)  # the kernel's own, as no flag asks for the user's
    del running.traces[number]
    for use in (lambda: running.traces[number], lambda: running.traces.__delitem__(number)):
        with pytest.raises(KeyError):
            use()
    assert number not in running.traces


@pytest.mark.kernel
def test_values_under_a_lock(running: Running) -> None:
    held = running.locked
    with pytest.raises(KeyError):
        held.locked[7]
    assert running.lock_it.run(PACKET).retval == 0
    held.locked[7] = Guarded(SpinLock(), 1, 2)
    assert running.lock_it.run(PACKET).retval == 1
    assert held.locked[7] == Guarded(SpinLock(), 2, 102) == held[7]
    held.locked[7] = Guarded(SpinLock(), 50, 60)
    assert held[7] == Guarded(SpinLock(), 50, 60)
    with pytest.raises(MapError, match="hash"):
        running.hash.locked[7] = Stats(1, 1)
    running.hash[7] = Stats(1, 1)
    with pytest.raises(MapError, match="hash"):
        running.hash.locked[7]


@pytest.mark.kernel
def test_storage_of_a_task_by_its_descriptor(running: Running) -> None:
    fd = os.pidfd_open(os.getpid())
    try:
        assert running.tasks.get(fd) is None and fd not in running.tasks
        with pytest.raises(KeyError):
            running.tasks[fd]
        assert running.task.run().retval == 1
        assert running.tasks[fd] == Stats(1, 0)
        running.tasks[fd] = Stats(10, 20)
        assert running.task.run().retval == 11
        with open(os.dup(fd)) as file:  # whatever has a fileno() will do
            assert running.tasks[file] == Stats(11, 20)  # type: ignore[index]
        del running.tasks[fd]
        assert fd not in running.tasks
        assert running.task.run().retval == 1
        with pytest.raises(NotSupportedError, match="tasks"):
            list(running.tasks)
    finally:
        os.close(fd)


# What is declared


WRONG: dict[str, tuple[str, Any, str, str]] = {
    "HashMap of an LRU": ("lru", HashMap[u32, Stats], "HashMap", "LRU_HASH"),
    "LruHashMap of a hash": ("hash", LruHashMap[u32, Stats], "LruHashMap", "HASH"),
    "HashMap of a per-CPU hash": ("cpu_hash", HashMap[u32, Stats], "HashMap", "PERCPU_HASH"),
    "PerCpuHashMap of an LRU one": ("cpu_lru", PerCpuHashMap[u32, Stats], "PerCpuHashMap", "LRU_PERCPU_HASH"),
    "LruPerCpuHashMap of a hash": ("hash", LruPerCpuHashMap[u32, Stats], "LruPerCpuHashMap", "HASH"),
    "ArrayMap of a per-CPU array": ("cpu_array", ArrayMap[Stats], "ArrayMap", "PERCPU_ARRAY"),
    "PerCpuArrayMap of an array": ("array", PerCpuArrayMap[Stats], "PerCpuArrayMap", "ARRAY"),
    "HashMap of a trie": ("routes", HashMap[Prefix, Stats], "HashMap", "LPM_TRIE"),
    "LpmTrie of a hash": ("hash", LpmTrie[u32, Stats], "LpmTrie", "HASH"),
    "Stack of a queue": ("queue", Stack[Stats], "Stack", "QUEUE"),
    "Queue of a stack": ("stack", Queue[Stats], "Queue", "STACK"),
    "Queue of a Bloom filter": ("bloom", Queue[Stats], "Queue", "BLOOM_FILTER"),
    "BloomFilter of a queue": ("queue", BloomFilter[Stats], "BloomFilter", "QUEUE"),
    "HashOfMaps of an array": ("by_index", HashOfMaps[u32, HashMap[u32, Stats]], "HashOfMaps", "ARRAY_OF_MAPS"),
    "ArrayOfMaps of a hash": ("by_key", ArrayOfMaps[HashMap[u32, Stats]], "ArrayOfMaps", "HASH_OF_MAPS"),
    "ProgArray of stack traces": ("traces", ProgArray, "ProgArray", "STACK_TRACE"),
    "StackTrace of programs": ("jumps", StackTrace, "StackTrace", "PROG_ARRAY"),
}


def findings(annotation: Any, name: str, default: Any = None) -> list[Finding]:
    body: dict[str, Any] = {"__annotations__": {name: annotation}}
    if default is not None:
        body[name] = default
    with pytest.raises(MismatchError) as caught:
        type("Wrong", (BpfObjects,), body).check(SPEC)
    return list(caught.value.findings)


@pytest.mark.parametrize(("name", "annotation", "declared", "actual"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_kind_is_one_finding_that_names_both(name: str, annotation: Any, declared: str, actual: str) -> None:
    (finding,) = findings(annotation, name)
    text = str(finding)
    assert name in text and declared in text and actual in text


def test_a_wrong_kind_of_the_maps_inside_is_a_finding() -> None:
    (finding,) = findings(ArrayOfMaps[LruHashMap[u32, Stats]], "by_index")
    assert "by_index" in str(finding) and "LruHashMap" in str(finding) and "HASH" in str(finding)
    (finding,) = findings(HashOfMaps[u32, HashMap[u32, u32]], "by_key")
    assert "by_key" in str(finding)


@pytest.mark.parametrize("name", ["hash", "lru", "cpu_hash", "cpu_lru"])
def test_other_max_entries_than_declared_are_a_finding(name: str) -> None:
    annotation = Objects.__annotations__[name]
    resolved = eval(annotation, globals()) if isinstance(annotation, str) else annotation
    (finding,) = findings(resolved, name, field(max_entries=17))
    assert name in str(finding) and "17" in str(finding) and "16" in str(finding)
    good = type("Good", (BpfObjects,), {"__annotations__": {name: resolved}, name: field(max_entries=16)})
    good.check(SPEC)


def test_what_is_declared_here_is_what_is_there() -> None:
    Running.check(SPEC)


# After close


def mapping_uses(of: Any, value: Any) -> list[Callable[[], object]]:
    return [
        lambda: of[1], lambda: of.get(1), lambda: 1 in of, lambda: of.__setitem__(1, value),
        lambda: of.__delitem__(1), lambda: of.pop(1, None), lambda: of.insert(1, value), lambda: of.replace(1, value),
        lambda: of.setdefault(1, value), lambda: of.update({1: value}), lambda: list(of), lambda: len(of),
        lambda: dict(of.items()), lambda: list(of.values()), of.clear, of.popitem, lambda: list(of.lookup_batch()),
        lambda: list(of.pop_batch()), lambda: of.delete_batch([1]), lambda: of.update_batch({1: value}),
    ]  # fmt: skip


def test_every_kind_after_close(engine: Engine) -> None:
    objs = Objects.load_and_assign(testdata("kinds"), engine=engine)
    one, per_cpu = Stats(1, 1), on_each_cpu(objs.cpu_hash, 1, 1)
    objs.by_key[1] = objs.by_key.create()
    inside, made, indexed = objs.by_key[1], objs.by_key.create(), objs.by_index[1]
    for of in (objs.hash, inside, made, indexed):
        of[1] = one
    iterating = iter(objs.hash.items())
    held = (objs.routes, objs.array, objs.cpu_array, objs.queue, objs.stack, objs.bloom, objs.by_index, objs.by_key)
    routes, array, cpu_array, queue, stack, bloom, by_index, by_key = held
    network = ip_network("10.0.0.0/8")
    uses: list[Callable[[], object]] = []
    for of in (objs.hash, objs.lru, inside, made, indexed):
        uses += mapping_uses(of, one)
    uses += mapping_uses(objs.cpu_hash, per_cpu) + mapping_uses(objs.cpu_lru, per_cpu)
    uses += mapping_uses(objs.locked, Guarded(SpinLock(), 1, 1))
    jumps, traces, locked = objs.jumps, objs.traces, objs.locked.locked
    uses += [
        lambda: routes[network], lambda: routes.__setitem__(network, one), lambda: list(routes),
        lambda: array[0], lambda: array[-1], lambda: array[0:2], lambda: array.__setitem__(0, one), lambda: list(array),
        lambda: array.memory, lambda: cpu_array[0], lambda: list(cpu_array),
        queue.pop, queue.peek, lambda: queue.push(one), stack.pop, stack.peek, lambda: stack.push(one),
        lambda: bloom.add(one), lambda: one in bloom,
        lambda: by_index[1], lambda: by_index.__setitem__(0, made), lambda: by_index.__delitem__(1),
        lambda: 1 in by_index, by_index.create,
        lambda: by_key[1], lambda: by_key.__setitem__(1, made), lambda: by_key.__delitem__(1), lambda: 1 in by_key,
        lambda: list(by_key), lambda: len(by_key), by_key.create,
        lambda: jumps[1], lambda: jumps.__delitem__(1), lambda: 1 in jumps,
        lambda: traces[1], lambda: 1 in traces, lambda: list(traces), lambda: traces.__delitem__(1),
        lambda: locked[1], lambda: locked.__setitem__(1, Guarded(SpinLock(), 1, 1)),
        lambda: next(iterating),
    ]  # fmt: skip
    objs.close()
    for number, use in enumerate(uses):
        try:
            found = use()
        except ClosedError:
            continue
        pytest.fail(f"use {number} gave {found!r}")


@pytest.mark.kernel
def test_kinds_of_the_kernel_alone_after_close(kernel: Engine) -> None:
    objs = Running.load_and_assign(testdata("kinds"), engine=kernel)
    tasks, jumps, land = objs.tasks, objs.jumps, objs.land_tx
    objs.close()
    for use in (lambda: tasks[3], lambda: tasks.__setitem__(3, Stats(1, 1)), lambda: jumps.__setitem__(1, land)):
        with pytest.raises(ClosedError):
            use()
