"""What static checkers must accept, with the types they must see. Never run: `tests/test_typing.py` has it checked."""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Iterator, MutableMapping
from typing import Annotated, Any, assert_type
from typing import Literal as L

import numpy

from bpfmodel import (
    TC,
    XDP,
    Array,
    ArrayMap,
    ArrayOfMaps,
    Atomic,
    AtomicInt,
    Bits,
    BloomFilter,
    BpfObjects,
    Bytes,
    CollectionSpec,
    Const,
    CString,
    Engine,
    Field,
    Finding,
    HashMap,
    HashOfMaps,
    KernelEngine,
    Link,
    LoadOptions,
    LpmTrie,
    LruHashMap,
    Map,
    MapSpec,
    MemoryEngine,
    MismatchError,
    OpenObjects,
    PerCpu,
    PerCpuArrayMap,
    PerCpuHashMap,
    PerfEventArray,
    ProgArray,
    Program,
    Queue,
    RingBuf,
    RunResult,
    Stack,
    StackTrace,
    Struct,
    UserRingBuf,
    Var,
    VariableSpec,
    asdict,
    boolean,
    f64,
    field,
    pointer,
    replace,
    s32,
    u8,
    u32,
    u64,
    u128,
)
from bpfmodel.handles.field import MapField, ProgramField


class Mode(enum.IntEnum):
    OFF = 0
    ON = 1


class Stats(Struct):
    packets: u64
    bytes: u64


class Hits(Struct):
    hits: Atomic[u64]


class Rich(Struct, packed=True, align=8):
    mode: Mode
    flags: Bits[u8, L[3]]
    name: CString[L[16]]
    mac: Bytes[L[6]]
    ports: Array[u32, L[4]]
    inner: Stats
    ready: bool = False


class Part(BpfObjects):
    limit: Const[u32]


class Key(Struct, frozen=True):
    prefixlen: u32
    address: u32


class Event(Struct, name="event"):
    number: u64


class Maps(BpfObjects):
    lru: LruHashMap[Key, Stats] = field(max_entries=64)
    per_cpu: PerCpuHashMap[u32, u64]
    per_cpu_array: PerCpuArrayMap[Stats]
    routes: LpmTrie[Key, u32]
    queue: Queue[Stats]
    stack: Stack[u32]
    bloom: BloomFilter[u64]
    events: RingBuf[Event]
    raw: RingBuf[bytes]
    samples: PerfEventArray[Event]
    inbox: UserRingBuf[Event]
    jumps: ProgArray
    outer: ArrayOfMaps[HashMap[u32, u64]]
    named: HashOfMaps[u32, ArrayMap[u64]]
    stacks: StackTrace
    storage: Map[u32, Stats]


class Objects(BpfObjects):
    pkt_count: Var[u64]
    ro_variable: Const[u32]
    var_msg: Var[CString[L[13]]]
    flows: HashMap[u32, Stats]
    counters: ArrayMap[u64]
    count_packets: Program
    xdp: Program[XDP]
    numbers: Var[Array[u32, L[4]]]
    matrix: Var[Array[Array[u64, L[3]], L[2]]]
    mac: Var[Bytes[L[6]]]
    ready: Var[boolean]
    plain: Var[bool]
    ratio: Var[f64]
    mode: Var[Mode]
    tiny: Var[Annotated[Mode, u8]]
    stats: Var[Stats]
    where: Var[pointer]
    wide: Const[u128]
    loose: Var[int]
    anything: Var[Any]
    texts: Var[str]
    renamed: Var[s32] = field(name="c_name")
    maybe: Var[u32] | None
    maybe_map: HashMap[u32, u64] | None
    maybe_program: Program[TC] | None
    named: HashMap[CString[L[16]], Array[u8, L[4]]]
    part: Part

    def total(self) -> int:
        return self.pkt_count.get() + self.ro_variable.get()


class Derived(Objects):
    more: Var[u8]


def keys() -> None:
    assert_type(Objects.pkt_count, Field[int])
    assert_type(Objects.ro_variable, Field[int])
    assert_type(Objects.var_msg, Field[str])
    assert_type(Objects.stats, Field[Stats])
    assert_type(Objects.renamed, Field[int])
    assert_type(Objects.flows, MapField[int, Stats])
    assert_type(Objects.counters, MapField[int, int])
    assert_type(Objects.count_packets, ProgramField)
    assert_type(Derived.pkt_count, Field[int])
    assert_type(Derived.more, Field[int])
    assert_type(Objects.part.limit, Const[int])


def values(objs: Objects) -> None:
    assert_type(objs.pkt_count, Var[int])
    assert_type(objs.pkt_count.get(), int)
    assert_type(objs.ro_variable, Const[int])
    assert_type(objs.ro_variable.get(), int)
    assert_type(objs.var_msg.get(), str)
    assert_type(objs.numbers.get(), list[int])
    assert_type(objs.matrix.get(), list[list[int]])
    assert_type(objs.mac.get(), bytes)
    assert_type(objs.ready.get(), bool)
    assert_type(objs.plain.get(), bool)
    assert_type(objs.ratio.get(), float)
    assert_type(objs.mode.get(), Mode)
    assert_type(objs.tiny.get(), Mode)
    assert_type(objs.stats.get(), Stats)
    assert_type(objs.stats.get().packets, int)
    assert_type(objs.where.get(), int)
    assert_type(objs.wide.get(), int)
    assert_type(objs.loose.get(), int)
    assert_type(objs.texts.get(), str)
    assert_type(objs.renamed.get(), int)
    assert_type(objs.part.limit.get(), int)
    assert_type(objs.total(), int)
    objs.pkt_count.set(1)
    assert_type(objs.pkt_count.atomic(), AtomicInt)
    assert_type(objs.pkt_count.atomic().add(1), int)
    assert_type(objs.pkt_count.atomic().compare_exchange(1, 2), bool)
    assert_type(objs.stats.atomic("packets"), AtomicInt)
    assert_type(objs.stats.ref().packets, int)
    assert_type(objs.stats.numpy(), numpy.ndarray[Any, Any])
    assert_type(objs.ro_variable.numpy(), numpy.ndarray[Any, Any])
    objs.var_msg.set("hello")
    objs.numbers.set([1, 2, 3, 4])
    objs.mode.set(Mode.ON)
    objs.stats.set(Stats(1, 2))
    objs.ratio.set(1)
    objs.anything.set(object())
    assert_type(objs.pkt_count.memory, memoryview)
    assert_type(objs.pkt_count.name, str)
    assert_type(objs.ro_variable.section, str)
    assert_type(objs.ro_variable.offset, int)
    assert_type(objs.ro_variable.size, int)


def optional(objs: Objects) -> None:
    assert_type(objs.maybe, Var[int] | None)
    assert_type(objs.maybe_map, HashMap[int, int] | None)
    assert_type(objs.maybe_program, Program[TC] | None)
    if objs.maybe is not None:
        assert_type(objs.maybe.get(), int)


def maps(objs: Objects) -> None:
    assert_type(objs.flows, HashMap[int, Stats])
    assert_type(objs.flows[1], Stats)
    assert_type(objs.flows[1].packets, int)
    assert_type(objs.flows.get(1), Stats | None)
    assert_type(list(objs.flows), list[int])
    assert_type(list(objs.flows.items()), list[tuple[int, Stats]])
    objs.flows[1] = Stats(packets=1, bytes=2)
    del objs.flows[1]
    mapping: MutableMapping[int, Stats] = objs.flows
    mapping.clear()
    assert_type(objs.counters, ArrayMap[int])
    assert_type(objs.counters[0], int)
    assert_type(iter(objs.counters), Iterator[int])
    objs.counters[0] = 1
    assert_type(objs.named["eth0"], list[int])
    objs.named["eth0"] = [1, 2, 3, 4]
    assert_type(objs.flows.max_entries, int)


def programs(objs: Objects) -> None:
    assert_type(objs.xdp, Program[XDP])
    result = objs.count_packets.run(b"packet", repeat=3)
    assert_type(result, RunResult)
    assert_type(result.retval, int)
    assert_type(result.data, bytes)
    with objs.xdp.attach_xdp("lo", mode="generic") as link:
        assert_type(link, Link)
        link.update(objs.xdp)
    assert_type(objs.count_packets.attach(), Link)


def stages(source: bytes) -> None:
    assert_type(Objects.check(source), tuple[Finding, ...])
    opened = Objects.open("count.bpf.o")
    assert_type(opened, OpenObjects[Objects])
    assert_type(opened.set(Objects.ro_variable, 5), OpenObjects[Objects])
    assert_type(opened.get(Objects.var_msg), str)
    loaded = (
        opened.set(Objects.ro_variable, 5)
        .set(Objects.pkt_count, 1)
        .set(Objects.numbers, [1, 2, 3, 4])
        .set(Objects.var_msg, "x")
        .set(Objects.stats, Stats(1, 2))
        .load(engine=MemoryEngine(), options=LoadOptions(log_level=1))
    )
    assert_type(loaded, Objects)
    assert_type(Derived.open(source).set(Derived.pkt_count, 1).load(), Derived)
    assert_type(opened.spec, CollectionSpec)
    assert_type(opened.spec.maps["flows"], MapSpec)
    assert_type(opened.spec.variables["x"], VariableSpec)
    opened.spec.maps["flows"].max_entries = 4096
    with Objects.load_and_assign(source, constants={"ro_variable": 1}, engine=KernelEngine()) as objs:
        assert_type(objs, Objects)
    with Derived.load_and_assign(source) as derived:
        assert_type(derived, Derived)
        assert_type(derived.more.get(), int)
        assert_type(derived.closed, bool)
    engine: Engine = MemoryEngine()
    Objects.load_and_assign(source, constants=Objects.constants_model()(), engine=engine).close()


def errors(source: bytes) -> None:
    try:
        Objects.check(source)
    except MismatchError as error:
        assert_type(error.findings, tuple[Finding, ...])
        assert_type(error.findings[0].path, str)


async def kinds_of_maps(objs: Maps, program: Program) -> None:
    assert_type(Maps.lru, MapField[Key, Stats])
    assert_type(objs.lru[Key(1, 2)], Stats)
    assert_type(objs.lru.pop(Key(1, 2), None), Stats | None)
    assert_type(objs.lru.locked[Key(1, 2)], Stats)
    assert_type({Key(1, 2): 1}, dict[Key, int])
    assert_type(objs.per_cpu[1], PerCpu[int])
    assert_type(objs.per_cpu[1].sum(), int)
    objs.per_cpu[1] = [1, 2]
    assert_type(objs.per_cpu_array[0].sum(), Stats)
    assert_type(objs.routes[ipaddress.ip_network("10.0.0.0/8")], int)
    assert_type(objs.queue.pop(), Stats)
    assert_type(objs.stack.peek(), int)
    objs.bloom.add(1)
    assert_type(list(objs.events), list[Event])
    assert_type(next(objs.events.poll(1)), Event)
    async for event in objs.events:
        assert_type(event.number, int)
    assert_type(objs.events.drain_numpy(), numpy.ndarray[Any, Any])
    assert_type(objs.raw.read(), list[bytes])
    assert_type(objs.samples.lost, int)
    objs.inbox.send(Event(1))
    objs.jumps[0] = program
    assert_type(objs.outer[0], HashMap[u32, u64])
    assert_type(objs.outer[0][1], int)
    objs.named[5] = objs.named.create()
    assert_type(objs.named[5][0], int)
    assert_type(objs.stacks[1], list[int])
    assert_type(objs.storage[3], Stats)
    assert_type(next(objs.lru.lookup_batch(10)), list[tuple[Key, Stats]])


def structs() -> None:
    assert_type(Stats(1, 2), Stats)
    assert_type(Stats(packets=1, bytes=2).bytes, int)
    rich = Rich(Mode.ON, 1, "eth0", bytes(6), [1, 2, 3, 4], Stats(1, 2))
    assert_type(rich.mode, Mode)
    assert_type(rich.flags, int)
    assert_type(rich.name, str)
    assert_type(rich.ports, list[int])
    assert_type(rich.ready, bool)
    assert_type(rich == rich, bool)
    assert_type(Hits(1).hits, int)
    rich.name = "eth1"
    assert_type(replace(rich, name="eth1"), Rich)
    assert_type(asdict(rich), dict[str, Any])
    Rich(Mode.ON, 1, "eth0", bytes(6), [1, 2, 3, 4], Stats(1, 2), ready=True)
