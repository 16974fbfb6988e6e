"""Claims about a hash map, u32 to u64: `m[k]` takes at most 1.8 times the same loop in C over libbpf, and dumping a million
entries to NumPy at most 1.15 times `bpf_map_lookup_batch` in C.

Both sides have maps of their own with the same entries. For information: what reading grows by from a thousand entries to a
million, and what other ways to read them take.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from _in_c import reference
from _ratio import Side, compare, fastest, show, timed

from bpfmodel import BpfObjects, HashMap, engine, u32, u64

SOURCE = Path(__file__).with_suffix(".c")
MILLION, LOOPS = 1_000_000, 1024 * 50


class Objects(BpfObjects):
    table: HashMap[u32, u64]


def source(entries: int) -> Any:
    """Build an object with nothing but the map."""
    made = import_module("support.objects").ObjectBuilder()
    kinds = {"key": made.btf.common("__u32"), "value": made.btf.common("__u64")}
    made.map("table", 1, max_entries=entries, **kinds)
    return made.build()


def filled(entries: int) -> Objects:
    objs = Objects.load_and_assign(source(entries))
    objs.table.update_batch((key, key * 3) for key in range(entries))
    return objs


def looked_up(table: HashMap[int, int]) -> Side:
    """Make the side that looks keys up, as one does: in a loop of a function."""

    def work() -> int:
        total = 0
        for _ in range(LOOPS // 1024):
            for key in range(1024):
                total += table[key]
        return total

    once = timed(work, 1)
    return lambda: once() / LOOPS


def main() -> None:
    reason = engine.available()["kernel"]
    if reason:
        print(f"map_access: nothing to measure, since the kernel cannot serve: {reason}")
        return
    with filled(MILLION) as large, filled(1000) as small, reference(SOURCE, MILLION) as (ask, missing):
        table = large.table
        read, dump = looked_up(table), timed(table.to_numpy, 1)
        if ask is None:
            one, all_of_it = fastest(read, dump, rounds=10)
            print(f"map_access: no ratio, since its reference in C was not built: {missing}")
            print(f"  in Python: {show(one)} for m[k], {show(all_of_it)} for a million entries to NumPy")
            return
        one, one_in_c = fastest(read, lambda: ask(f"lookup {LOOPS}") / LOOPS, rounds=30)
        all_of_it, all_in_c = fastest(dump, lambda: ask("dump"), rounds=12)
        compare("m[k], u32 to u64", one, "a loop in C over libbpf", one_in_c, 1.8)
        compare("a million entries to NumPy", all_of_it, "bpf_map_lookup_batch in C", all_in_c, 1.15)
        objects, few, few_objects = fastest(
            timed(lambda: dict(table.items()), 1), timed(small.table.to_numpy, 100),
            timed(lambda: dict(small.table.items()), 100), rounds=3,
        )  # fmt: skip
        print(
            f"  an entry of a million: {show(all_of_it / MILLION)} to NumPy, {show(objects / MILLION)} as objects of a dict;"
        )
        print(f"  of a thousand: {show(few / 1000)} and {show(few_objects / 1000)}")


if __name__ == "__main__":
    main()
