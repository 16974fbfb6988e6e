"""What the kernel makes of the plans of maps: resized, filled with programs or maps, rings, sizes out of range."""

from __future__ import annotations

from typing import Any

import pytest
from support.data import testdata

from bpfmodel import (
    ArrayMap,
    BpfObjects,
    CollectionSpec,
    Engine,
    HashMap,
    KernelError,
    LoadError,
    LoadOptions,
    MapError,
    NotSupportedError,
    Program,
    Struct,
    Var,
    u32,
    u64,
)
from bpfmodel.engine import syscall

pytestmark = pytest.mark.kernel


class Stats(Struct):
    packets: u64
    bytes: u64


class Flows(BpfObjects):
    flows: HashMap[u32, Stats]
    touch: Program


class Lazy(BpfObjects):
    good_map: HashMap[u32, u64]


class Spare(BpfObjects):
    spare_map: ArrayMap[u32]


class Data(BpfObjects):
    good_var: Var[u64]


def fdinfo(number: int) -> dict[str, str]:
    with open(f"/proc/self/fdinfo/{number}") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def test_a_resized_map_is_resized_in_the_kernel(kernel: Engine) -> None:
    opened = Lazy.open(testdata("lazy"))
    opened.spec.maps["good_map"].max_entries = 4096
    with opened.load(engine=kernel) as objs:
        assert fdinfo(objs.good_map.fileno())["max_entries"] == "4096"
        assert objs.good_map.max_entries == 4096
        copied = syscall.Fd.copy_of(objs.good_map.fileno())
        assert syscall.map_info(copied).max_entries == 4096
        for key in range(100):
            objs.good_map[key] = key
        assert len(objs.good_map) == 100


def test_a_map_made_smaller_is_full_sooner(kernel: Engine) -> None:
    opened = Lazy.open(testdata("lazy"))
    opened.spec.maps["good_map"].max_entries = 2
    with opened.load(engine=kernel) as objs:
        objs.good_map.update({1: 1, 2: 2})
        with pytest.raises(MapError, match="full"):
            objs.good_map[3] = 3


def test_flags_reach_the_kernel(kernel: Engine) -> None:
    from bpfmodel import MapFlag

    opened = Lazy.open(testdata("lazy"))
    opened.spec.maps["good_map"].flags |= MapFlag.NO_PREALLOC
    with opened.load(engine=kernel) as objs:
        assert int(fdinfo(objs.good_map.fileno())["map_flags"], 16) == MapFlag.NO_PREALLOC


def test_another_kind_of_hash_is_what_the_kernel_makes(kernel: Engine) -> None:
    from bpfmodel import MapType

    opened = Lazy.open(testdata("lazy"))
    opened.spec.maps["good_map"].type = MapType.LRU_HASH
    with opened.load(engine=kernel) as objs:
        assert fdinfo(objs.good_map.fileno())["map_type"] == str(int(MapType.LRU_HASH))


@pytest.mark.parametrize("entries", [2**32 + 5, -1, 2**64, "4", 1.5])
def test_a_size_no_map_can_have_is_an_error_and_never_wraps(kernel: Engine, entries: Any) -> None:
    opened = Spare.open(testdata("lazy"))
    opened.spec.maps["spare_map"].max_entries = entries
    with pytest.raises((LoadError, ValueError, TypeError)) as caught:
        opened.load(engine=kernel).close()
    assert "max_entries" in str(caught.value)
    assert type(caught.value).__module__.startswith("bpfmodel")


def test_a_size_the_kernel_refuses_is_told_with_the_map(kernel: Engine) -> None:
    opened = Spare.open(testdata("lazy"))
    opened.spec.maps["spare_map"].max_entries = 2**32 - 1
    opened.spec.maps["spare_map"].value_size = 2**20
    with pytest.raises(LoadError, match="spare_map"):
        opened.load(engine=kernel)


def test_a_data_section_cannot_be_resized(kernel: Engine) -> None:
    opened = Data.open(testdata("lazy"))
    opened.spec.maps[".bss"].value_size += 4096
    with pytest.raises(NotSupportedError, match=r"\.bss.*value_size"):
        opened.load(engine=kernel)


class Tail(BpfObjects):
    tail: Program


def test_a_program_array_brings_its_programs_and_works(kernel: Engine) -> None:
    with Tail.load_and_assign(testdata("maps"), engine=kernel) as objs:
        assert objs.tail.run(bytes(14)).retval == 3  # XDP_TX by leaf_last; XDP_ABORTED if the slot were empty
        assert objs.tail.run(bytes(14), repeat=100).retval == 3


def test_the_programs_of_a_program_array_are_loaded_too(kernel: Engine) -> None:
    spec = CollectionSpec.from_file(testdata("maps"))
    maps, programs = spec.closure(set(), {"tail"})
    assert programs == {"tail", "leaf_first", "leaf_last"} and "jmp" in maps
    loaded = kernel.load(spec, maps, programs, LoadOptions())
    try:
        assert set(loaded.programs) == {"tail", "leaf_first", "leaf_last"}
        assert loaded.maps["jmp"].lookup(bytes(4))
        assert loaded.maps["jmp"].lookup(b"\1\0\0\0") is None
    finally:
        loaded.close()


def test_a_map_of_maps_holds_its_inner_map(kernel: Engine) -> None:
    class Inner(BpfObjects):
        inner_a: ArrayMap[u64]
        touch: Program

    with Inner.load_and_assign(testdata("maps"), engine=kernel) as objs:
        objs.inner_a[0] = 41
        objs.touch.run()  # adds 1 by way of outer[1]
        assert objs.inner_a[0] == 42


def test_rings_with_and_without_a_type_of_events_load(kernel: Engine) -> None:
    class Emit(BpfObjects):
        emit: Program

    with Emit.load_and_assign(testdata("maps"), engine=kernel) as objs:
        assert objs.emit.run(bytes(14)).retval == 2


def test_every_map_and_program_of_an_object_with_one_of_each_kind(kernel: Engine) -> None:
    spec = CollectionSpec.from_file(testdata("maps"))
    loaded = kernel.load(spec, set(spec.maps), set(spec.programs), LoadOptions())
    try:
        assert {"ring", "plain_ring", "trie", "bloom", "percpu", "outer", "jmp", "events"} <= set(loaded.maps)
        assert set(loaded.programs) == set(spec.programs)
    finally:
        loaded.close()


def test_values_per_cpu_are_as_long_as_the_kernel_says(kernel: Engine) -> None:
    spec = CollectionSpec.from_file(testdata("maps"))
    maps, programs = spec.closure({"percpu"}, {"touch"})
    loaded = kernel.load(spec, maps, programs, LoadOptions())
    try:
        table, cpus = loaded.maps["percpu"], syscall.possible_cpus()
        loaded.programs["touch"].run(b"", b"", 1)
        value = table.lookup(bytes(4))
        assert value is not None
        assert len(value) == 8 * cpus == table.value_size
        assert sum(value[::8]) == 1
        with pytest.raises(MapError, match="bytes"):
            table.update(bytes(4), bytes(4))
        table.update(bytes(4), (5).to_bytes(8, "little") * cpus)
        assert table.lookup(bytes(4)) == (5).to_bytes(8, "little") * cpus
    finally:
        loaded.close()


@pytest.mark.parametrize("key", [b"", b"\0\0\0", bytes(5)])
def test_short_and_long_buffers_never_reach_the_kernel(kernel: Engine, key: bytes) -> None:
    with Lazy.load_and_assign(testdata("lazy"), engine=kernel):
        spec = CollectionSpec.from_file(testdata("lazy"))
        loaded = kernel.load(spec, {"good_map"}, set(), LoadOptions())
        try:
            table = loaded.maps["good_map"]
            for use in (
                lambda: table.lookup(key),
                lambda: table.delete(key),
                lambda: table.next_key(key),
                lambda: table.update(key, bytes(8)),
                lambda: table.update(bytes(4), key),
            ):
                with pytest.raises(KernelError, match=r"good_map.*bytes"):
                    use()
        finally:
            loaded.close()
