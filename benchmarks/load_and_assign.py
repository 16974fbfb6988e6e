"""Claim: `load_and_assign` of a small object, and closing it, take at most 4 times open, load and close in C over libbpf.

Both sides start from the bytes of the quickstart sample and load all of it: one XDP program, a hash map and three data
sections. Python reads and checks the object and fills the class on top of that. The C side is `load_and_assign.c`, a process
that loops by itself; it needs cc and the headers of libbpf, and without them the Python side stands alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal as L

from _in_c import reference
from _ratio import ROOT, compare, fastest, show, timed

from bpfmodel import (
    XDP,
    BpfObjects,
    CollectionSpec,
    Const,
    CString,
    HashMap,
    MemoryEngine,
    Program,
    Struct,
    Var,
    engine,
    u32,
    u64,
)

OBJECT = ROOT / "samples" / "quickstart" / "quickstart.bpf.o"
SOURCE = Path(__file__).with_suffix(".c")
TARGET = 4.0
BATCH, ROUNDS = 5, 80


class Stats(Struct):
    packets: u64
    bytes: u64


class Objects(BpfObjects):
    pkt_count: Var[u64]
    ro_variable: Const[u32]
    var_msg: Var[CString[L[13]]]
    flows: HashMap[u32, Stats]
    count_packets: Program[XDP]


def main() -> None:
    data = OBJECT.read_bytes()
    reason = engine.available()["kernel"]
    if reason:
        memory = MemoryEngine()
        (alone,) = fastest(timed(lambda: Objects.load_and_assign(data, engine=memory).close(), BATCH), rounds=ROUNDS)
        print(f"load_and_assign: no ratio, since the kernel cannot serve: {reason}")
        print(f"  into memory, without C to compare with: {show(alone)}")
        return
    spec = CollectionSpec.from_bytes(data)
    whole = timed(lambda: Objects.load_and_assign(data).close(), BATCH)
    kept = timed(lambda: Objects.load_and_assign(spec).close(), BATCH)
    with reference(SOURCE, OBJECT) as (ask, missing):
        if ask is None:
            ours, from_spec = fastest(whole, kept, rounds=ROUNDS)
            print(f"load_and_assign: no ratio, since its reference in C was not built: {missing}")
            print(f"  in Python: {show(ours)}; of a spec that was read before: {show(from_spec)}")
            return
        ours, from_spec, theirs = fastest(whole, kept, lambda: ask(str(BATCH)) / BATCH, rounds=ROUNDS)
    compare("load_and_assign and close", ours, "open, load and close in C", theirs, TARGET)
    print(f"  for information: {from_spec / theirs:.2f}x where the spec was read before, {show(from_spec)}")


if __name__ == "__main__":
    main()
