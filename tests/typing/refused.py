"""What static checkers must refuse. Each line that ends in an ``E:`` comment, and no other, is an error for both.

Never run: `tests/test_typing.py` has it checked.
"""

from __future__ import annotations

from typing import Literal as L

from bpfmodel import (
    XDP,
    Array,
    ArrayMap,
    BpfObjects,
    Const,
    CString,
    HashMap,
    MemoryEngine,
    PerCpuHashMap,
    ProgArray,
    Program,
    Queue,
    RingBuf,
    Struct,
    Var,
    u8,
    u32,
    u64,
)


class Stats(Struct):
    packets: u64
    bytes: u64 = 0


class Key(Struct, frozen=True):
    left: u32


class Objects(BpfObjects):
    pkt_count: Var[u64]
    ro_variable: Const[u32]
    var_msg: Var[CString[L[13]]]
    numbers: Var[Array[u32, L[4]]]
    stats: Var[Stats]
    flows: HashMap[u32, Stats]
    per_cpu: PerCpuHashMap[u32, u64]
    queue: Queue[Stats]
    events: RingBuf[Key]
    jumps: ProgArray
    counters: ArrayMap[u64]
    count_packets: Program[XDP]
    maybe: Var[u32] | None


class Bad(BpfObjects):
    defaulted: Var[u8] = 5  # E: a field takes no value
    kind: Program[int]  # E: int is no kind of program
    one: HashMap[u32]  # E: a map has keys and values


def constants(objs: Objects) -> None:
    objs.ro_variable.set(1)  # E: a constant has no set


def kinds_of_maps(objs: Objects) -> None:
    objs.per_cpu[1] = 5  # E: a per-CPU value is a list
    objs.queue.push(1)  # E: an int is no struct
    objs.events.send(Key(1))  # E: a ring buffer is only read
    objs.jumps[0] = 7  # E: a number is no program
    Key(1).left = 2  # E: the struct is frozen
    print(next(objs.events.poll(0)).right)  # E: the event has no such member


def values(objs: Objects) -> None:
    objs.pkt_count.set("1")  # E: str for int
    objs.var_msg.atomic()  # E: text is no integer
    objs.stats.atomic()  # E: a struct is no integer
    objs.stats.atomic(3)  # E: a path is text
    print(objs.stats.ref().pakets)  # E: the struct has no such member
    objs.stats.ref().packets = "1"  # E: str for int
    objs.ro_variable.atomic()  # E: a constant has no atomic
    objs.pkt_count.set(1.5)  # E: float for int
    objs.pkt_count.set(None)  # E: None for int
    objs.var_msg.set(b"hello")  # E: bytes for str
    objs.var_msg.set(5)  # E: int for str
    objs.numbers.set(5)  # E: int for a list
    objs.numbers.set(["a"])  # E: a list of str for one of int
    objs.stats.set({"packets": 1})  # E: a dict for a Stats
    objs.pkt_count.set()  # E: no value
    text: str = objs.pkt_count.get()  # E: an int is no str
    objs.pkt_count.get().upper()  # E: an int has no upper
    print(text)


def names(objs: Objects) -> None:
    print(objs.pkt_cuont)  # E: a typing mistake
    print(Objects.pkt_cuont)  # E: a typing mistake
    objs.pkt_count.value = 5  # E: no such attribute


def optional(objs: Objects) -> None:
    objs.maybe.get()  # E: it may be None
    objs.maybe.set(1)  # E: it may be None


def maps(objs: Objects) -> None:
    objs.flows["a"]  # E: the key is an int
    objs.flows[1] = 5  # E: the value is a Stats
    objs.flows["a"] = Stats(1)  # E: the key is an int
    print(objs.flows[1].drops)  # E: no such member
    del objs.flows["a"]  # E: the key is an int
    objs.counters[0] = "x"  # E: the value is an int
    objs.counters["a"]  # E: the index is an int
    del objs.counters[0]  # E: elements of an array stay


def assignment(objs: Objects) -> None:
    objs.pkt_count = 5  # E: a handle stays what it is
    objs.ro_variable = 5  # E: a handle stays what it is
    objs.flows = {}  # E: a handle stays what it is


def keys() -> None:
    Objects.pkt_count.get()  # E: a key is no handle
    Objects.flows[1]  # E: a key is no handle
    Objects.count_packets.run()  # E: a key is no handle


def stages() -> None:
    opened = Objects.open("count.bpf.o")
    opened.set(Objects.ro_variable, "5")  # E: str for int
    opened.set(Objects.var_msg, 5)  # E: int for str
    opened.set(Objects.stats, 5)  # E: int for Stats
    opened.set("ro_variable", 5)  # E: a name is no key
    opened.set(Objects.flows, {})  # E: a map has no initial value
    opened.set(Objects.count_packets, 5)  # E: a program has no value
    opened.get("ro_variable")  # E: a name is no key
    number: int = opened.get(Objects.var_msg)  # E: it is a str
    opened.load(MemoryEngine())  # E: by keyword only
    opened.load(engine="memory")  # E: a name is no engine
    other: Bad = opened.load()  # E: it is an Objects
    Objects.load_and_assign("count.bpf.o", constant={})  # E: no such keyword
    Objects.load_and_assign(5)  # E: a number is no source
    Objects.open()  # E: no source
    print(number, other)


def structs() -> None:
    Stats(packet=1)  # E: no such member
    Stats("1")  # E: str for int
    Stats(1, 2, 3)  # E: more values than members
    Stats()  # E: packets has no default
    stats = Stats(1)
    stats.packets = "x"  # E: str for int
    print(stats.drops)  # E: no such member


def programs(objs: Objects) -> None:
    objs.count_packets.run("text")  # E: str for bytes
    objs.count_packets.run(b"", b"")  # E: ctx by keyword only
    print(objs.count_packets.run().value)  # E: no such attribute
    objs.count_packets.attach_xdp("lo", mode="fast")  # E: no such mode
    objs.count_packets.set(1)  # E: a program has no set
