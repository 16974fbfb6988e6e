"""Claims about structs of four numbers: `Var[Struct].get()` takes at most 3 times the `unpack_from` it needs, and reading a
member through `ref()` at most 2.5 times what `Var[u64].get()` takes.

For comparison, what ctypes takes for the same: `Structure.from_buffer_copy` with its four members read, and one member of a
`Structure.from_buffer`.
"""

from __future__ import annotations

import ctypes
import struct
from importlib import import_module
from typing import Any

from _ratio import compare, fastest, show
from variable_get_set import ROUNDS, side

from bpfmodel import BpfObjects, MemoryEngine, Struct, Var, engine, u32, u64


class Stats(Struct):
    packets: u64
    bytes: u64
    drops: u32
    mark: u32


class Objects(BpfObjects):
    stats: Var[Stats]
    total: Var[u64]


class Mirror(ctypes.Structure):
    _fields_ = (
        ("packets", ctypes.c_uint64),
        ("bytes", ctypes.c_uint64),
        ("drops", ctypes.c_uint32),
        ("mark", ctypes.c_uint32),
    )


def source() -> Any:
    """Build the object: a struct and a number in .data."""
    made = import_module("support.objects").ObjectBuilder()
    long, word = made.btf.common("__u64"), made.btf.common("__u32")
    members = [("packets", long, 0), ("bytes", long, 64), ("drops", word, 128), ("mark", word, 160)]
    made.variable("stats", made.btf.struct("stats", 24, members), 24, ".data", align=8)
    made.variable("total", long, 8, ".data", align=8)
    return made.build()


def main() -> None:
    reason = engine.available()["kernel"]
    if reason:
        print(f"note: this is the memory engine's memory, since the kernel cannot serve: {reason}")
    with Objects.load_and_assign(source(), engine=MemoryEngine() if reason else None) as objs:
        value = Stats(1 << 60, 1 << 50, 1 << 30, 1 << 31)
        objs.stats.set(value)
        objs.total.set(value.packets)
        writable = bytearray(objs.stats.memory)  # from_buffer takes what it cannot outlive
        names = {
            "var": objs.stats,
            "total": objs.total,
            "ref": objs.stats.ref(),
            "unpack": struct.Struct("=QQII").unpack_from,
            "memory": objs.stats.memory,
            "mirror": Mirror.from_buffer(writable),
            "copied": Mirror.from_buffer_copy,
        }
        get, unpack, copied = fastest(
            side("var.get()", names),
            side("unpack(memory, 0)", names),
            side("c = copied(memory); c.packets; c.bytes; c.drops; c.mark", names),
            rounds=ROUNDS,
        )
        member, total, foreign = fastest(
            side("ref.packets", names), side("total.get()", names), side("mirror.packets", names), rounds=ROUNDS
        )
        store, put, stored = fastest(
            side("ref.packets = 5", names),
            side("total.set(5)", names),
            side("mirror.packets = 5", names),
            rounds=ROUNDS,
        )
    compare("Var[Struct of 4].get()", get, "its unpack_from", unpack, 3.0)
    compare("a member through ref()", member, "Var[u64].get()", total, 2.5)
    compare("storing one through ref()", store, "Var[u64].set()", put, 2.5)
    print(
        f"  ctypes: a copy and its four members {show(copied)}, one member {show(foreign)}, storing one {show(stored)}"
    )


if __name__ == "__main__":
    main()
