"""Claim: `Var[u64].get()` and `.set()` take at most 2.2 times a bare `memoryview.cast("Q")[0]` on the same memory.

The memory is the mapped `.data` of an object in the kernel; where the kernel cannot serve, it is the memory engine's. Each
statement stands many times in the body of the loop, so that the loop itself, which would flatter the ratio, weighs nothing.
The number is beyond those that Python keeps ready-made, as most counters are.
"""

from __future__ import annotations

import timeit
from collections.abc import Callable

from _ratio import ROOT, Side, compare, fastest

from bpfmodel import BpfObjects, MemoryEngine, Var, engine, u64

OBJECT = ROOT / "tests" / "testdata" / "scalars.bpf.o"
TARGET = 2.2
UNROLLED, LOOPS, ROUNDS = 50, 4000, 60


class Objects(BpfObjects):
    u64_var: Var[u64]


def main() -> None:
    reason = engine.available()["kernel"]
    if reason:
        print(f"note: this is the memory engine's memory, since the kernel cannot serve: {reason}")
    with Objects.load_and_assign(OBJECT, engine=MemoryEngine() if reason else None) as objs:
        var = objs.u64_var
        with var.memory.cast("Q") as view:
            names = {"var": var, "view": view, "value": 0x0123456789ABCDEF}
            get, bare_get = fastest(side("var.get()", names), side("view[0]", names), rounds=ROUNDS)
            set, bare_set = fastest(side("var.set(value)", names), side("view[0] = value", names), rounds=ROUNDS)
            assert var.get() == view[0] == names["value"]
    compare("Var[u64].get()", get, 'a bare memoryview.cast("Q")[0]', bare_get, TARGET)
    compare("Var[u64].set()", set, 'a bare memoryview.cast("Q")[0] = value', bare_set, TARGET)


def side(statement: str, names: dict[str, object]) -> Side:
    """Time a statement, with `names` as local variables."""
    setup = "; ".join(f"{name} = given[{name!r}]" for name in names)
    timer = timeit.Timer("; ".join([statement] * UNROLLED), setup, globals={"given": names})
    run: Callable[[int], float] = timer.timeit
    return lambda: run(LOOPS) / (LOOPS * UNROLLED)


if __name__ == "__main__":
    main()
