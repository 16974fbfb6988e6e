"""What an atomic addition costs, beside the plain ones that lose updates: no target, the figures speak.

Each backend that is installed, against a bare `view[0] += 1` and against the same through `Var.get()` and `Var.set()`.
"""

from __future__ import annotations

from _ratio import ROOT, fastest, show
from variable_get_set import side

from bpfmodel import BpfObjects, MemoryEngine, Var, engine, u64
from bpfmodel.engine import atomics

OBJECT = ROOT / "tests" / "testdata" / "scalars.bpf.o"
ROUNDS = 20


class Objects(BpfObjects):
    u64_var: Var[u64]


def main() -> None:
    reason = engine.available()["kernel"]
    if reason:
        print(f"note: this is the memory engine's memory, since the kernel cannot serve: {reason}")
    backends = dict(atomics.BACKENDS)
    for name, make in backends.items():
        if make(memoryview(bytearray(8))) is None:
            print(f"note: {name} is not installed")
            continue
        atomics.BACKENDS.clear()
        atomics.BACKENDS[name] = make
        with Objects.load_and_assign(OBJECT, engine=MemoryEngine() if reason else None) as objs:
            names = {"atomic": objs.u64_var.atomic(), "var": objs.u64_var, "view": objs.u64_var.memory.cast("Q")}
            names["bound"] = objs.u64_var.atomic().add
            objs.u64_var.set(0)
            add, bound, plain, bare = fastest(
                side("atomic.add(1)", names),
                side("bound(1)", names),
                side("var.set(var.get() + 1)", names),
                side("view[0] += 1", names),
                rounds=ROUNDS,
            )
            del names
        print(
            f"atomic().add(1) by {name}: {add / bare:.1f}x a bare view[0] += 1, {add / plain:.1f}x var.set(var.get() + 1), "
            f"both of which lose updates; {show(add)}, {show(bound)} as a bound method, against {show(bare)} and {show(plain)}"
        )
    atomics.BACKENDS.update(backends)


if __name__ == "__main__":
    main()
