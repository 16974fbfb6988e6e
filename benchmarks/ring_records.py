"""Claims about records of a fixed size in a ring buffer: to NumPy they come at 0.8 times the rate of `ring_buffer__consume` in
C at least, and as Python objects at a million a second at least.

The program writes half a million records of 16 bytes each time, which is not timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _in_c import reference
from _ratio import ROOT, compare, fastest, show

from bpfmodel import BpfObjects, Program, RingBuf, Struct, Var, engine, u32, u64

OBJECT = ROOT / "tests" / "testdata" / "streams.bpf.o"
SOURCE = Path(__file__).with_suffix(".c")
COUNT, ROOM, ROUNDS = 500_000, 1 << 24, 12


class Event(Struct):
    number: u64
    kind: u32
    mark: u32


class Objects(BpfObjects):
    events: RingBuf[Event]
    count: Var[u32]
    fill: Program


def main() -> None:
    reason = engine.available()["kernel"]
    if reason:
        print(f"ring_records: nothing to measure, since the kernel cannot serve: {reason}")
        return
    opened = Objects.open(OBJECT)
    opened.spec.maps["events"].max_entries = ROOM
    with opened.load() as objs, reference(SOURCE, OBJECT, ROOM, objs.count.offset) as (ask, missing):
        objs.count.set(COUNT)

        def side(read: Callable[[], Any]) -> Callable[[], float]:
            def work() -> float:
                objs.fill.run()
                start = time.perf_counter()
                found = read()
                taken = time.perf_counter() - start
                assert len(found) == COUNT
                return taken / COUNT

            return work

        array, chunk = side(objs.events.drain_numpy), side(objs.events.read)
        loop = side(lambda: [event for event in objs.events])  # noqa: C416 - the loop is what is measured
        if ask is None:
            print(f"ring_records: no ratio, since its reference in C was not built: {missing}")
            numpy, objects, each = fastest(array, chunk, loop, rounds=ROUNDS)
        else:
            numpy, objects, each, in_c = fastest(array, chunk, loop, lambda: ask(str(COUNT)) / COUNT, rounds=ROUNDS)
            compare("a record to NumPy", numpy, "ring_buffer__consume in C", in_c, 1 / 0.8)
        compare("a record as an object, by read()", objects, "a microsecond", 1e-6, 1.0)
        compare("a record as an object, by iterating", each, "a microsecond", 1e-6, 1.0)
        rates = [1e-6 / numpy, 1e-6 / objects, 1e-6 / each]
        print(f"  {rates[0]:.1f} million records a second to NumPy, {rates[1]:.2f} and {rates[2]:.2f} as objects")
        print(f"  {show(numpy)} a record to NumPy")


if __name__ == "__main__":
    main()
