"""`MemoryEngine` holds data as the kernel would, without it, and says what it cannot do."""

from __future__ import annotations

from typing import Any

import pytest
from support.data import testdata

from bpfmodel import (
    ArrayMap,
    BpfModelError,
    BpfObjects,
    CollectionSpec,
    Const,
    Engine,
    HashMap,
    LoadError,
    LoadOptions,
    MapError,
    MemoryEngine,
    NotSupportedError,
    Program,
    Var,
    s32,
    u16,
    u32,
    u64,
)


class Lazy(BpfObjects):
    good_var: Var[u64]
    good_map: HashMap[u32, u64]
    spare_map: ArrayMap[u32]
    good: Program


class BrokenMap(BpfObjects):
    broken_map: HashMap[u32, u64]


@pytest.mark.kernel
def test_both_engines_start_with_the_same_bytes(kernel: Engine) -> None:
    for name in ("scalars", "arrays", "visibility", "linked", "zero", "nobtf", "enum64"):
        spec = CollectionSpec.from_file(testdata(name))
        # The kernel refuses a section with a variable of no size; .kconfig is filled by the kernel.
        sections = {n for n, plan in spec.maps.items() if plan.is_data and n != ".kconfig" and plan.value_size}
        if name == "zero":
            sections -= {".bss"}
        ours = MemoryEngine().load(spec, sections, set(), LoadOptions())
        theirs = kernel.load(spec, sections, set(), LoadOptions())
        try:
            for section in sections:
                assert ours.maps[section].lookup(bytes(4)) == theirs.maps[section].lookup(bytes(4)), (name, section)
                for figure in ("key_size", "value_size", "max_entries"):
                    assert getattr(ours.maps[section], figure) == getattr(theirs.maps[section], figure)
        finally:
            theirs.close()
            ours.close()


def test_programs_exist_and_do_not_pretend() -> None:
    with Lazy.load_and_assign(testdata("lazy"), engine=MemoryEngine()) as objs:
        assert (objs.good.name, objs.good.section, objs.good.log) == ("good", "xdp", "")
        for use in (lambda: objs.good.run(bytes(14)), objs.good.attach, lambda: objs.good.attach_xdp("lo")):
            with pytest.raises(NotSupportedError, match=r"good.*MemoryEngine"):
                use()
        assert objs.good_var.get() == 0
        assert len(objs.good_map) == 0


def test_it_needs_no_privilege_and_leaves_no_descriptor() -> None:
    import os

    before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
    with Lazy.load_and_assign(testdata("lazy"), engine=MemoryEngine()):
        after = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
        assert len(after) == len(before)


def test_two_loads_share_nothing() -> None:
    opened = Lazy.open(testdata("lazy"))
    with opened.load(engine=MemoryEngine()) as one, opened.load(engine=MemoryEngine()) as two:
        one.good_var.set(5)
        one.good_map[1] = 1
        one.spare_map[1] = 1
        assert (two.good_var.get(), len(two.good_map), list(two.spare_map)) == (0, 0, [0, 0, 0, 0])


def test_an_object_of_the_other_byte_order_is_held_all_the_same() -> None:
    class Big(BpfObjects):
        u16_var: Var[u16]
        u32_var: Var[u32]
        s32_var: Var[s32]
        ro_u32: Const[u32]

    with Big.load_and_assign(testdata("bigendian"), constants={"ro_u32": 0x01020304}, engine=MemoryEngine()) as objs:
        assert (objs.u16_var.get(), objs.u32_var.get(), objs.s32_var.get()) == (0x1234, 0x12345678, -2)
        assert bytes(objs.ro_u32.memory) == b"\1\2\3\4"
        objs.u16_var.set(0xABCD)
        assert bytes(objs.u16_var.memory) == b"\xab\xcd"


@pytest.mark.parametrize("wanted", [{"good_map"}, {".bss"}, {"spare_map"}])
def test_only_what_is_wanted_is_made(wanted: set[str]) -> None:
    loaded = MemoryEngine().load(CollectionSpec.from_file(testdata("lazy")), wanted, set(), LoadOptions())
    assert set(loaded.maps) == wanted
    assert not loaded.programs


def test_a_map_without_room_is_refused_on_both_engines(engine: Engine) -> None:
    with pytest.raises(LoadError, match="broken_map"):
        BrokenMap.load_and_assign(testdata("lazy"), engine=engine)


@pytest.mark.parametrize("entries", [-1, 2**32 + 5, "4"])
@pytest.mark.parametrize("cls", [BrokenMap, Lazy])
def test_sizes_no_map_can_have_are_refused(cls: Any, entries: Any) -> None:
    name = "broken_map" if cls is BrokenMap else "spare_map"
    opened = cls.open(testdata("lazy"))
    opened.spec.maps[name].max_entries = entries
    if cls is Lazy and entries == 2**32 + 5:
        opened.spec.maps[name].value_size = 2**30  # never to be had, so that nobody waits for 34 GB
    with pytest.raises(BpfModelError, match=name):
        opened.load(engine=MemoryEngine())


def test_flags_of_update_as_the_kernel_has_them(engine: Engine) -> None:
    spec = CollectionSpec.from_file(testdata("lazy"))
    loaded = engine.load(spec, {"good_map", "spare_map"}, set(), LoadOptions())
    table, array = loaded.maps["good_map"], loaded.maps["spare_map"]
    one, two, value = b"\1\0\0\0", b"\2\0\0\0", bytes(8)
    try:
        table.update(one, value, 1)  # BPF_NOEXIST
        for refused in (
            lambda: table.update(one, value, 1),
            lambda: table.update(two, value, 2),  # BPF_EXIST
            lambda: array.update(one, bytes(4), 1),
            lambda: array.update(b"\4\0\0\0", bytes(4)),
            lambda: array.delete(one),
            lambda: table.update(one, bytes(7)),
            lambda: table.lookup(bytes(3)),
        ):
            with pytest.raises(MapError):
                refused()
        assert table.lookup(two) is None
        assert table.delete(two) is False and table.delete(one) is True
        assert array.lookup(b"\4\0\0\0") is None
    finally:
        loaded.close()


def test_keys_of_an_array_are_walked_alike(engine: Engine) -> None:
    loaded = engine.load(CollectionSpec.from_file(testdata("lazy")), {"spare_map"}, set(), LoadOptions())
    try:
        walked, key = [], loaded.maps["spare_map"].next_key(None)
        while key is not None:
            walked.append(int.from_bytes(key, "little"))
            key = loaded.maps["spare_map"].next_key(key)
        assert walked == [0, 1, 2, 3]
        assert loaded.maps["spare_map"].next_key(b"\xff\xff\xff\xff") == bytes(4)
    finally:
        loaded.close()


def test_maps_of_other_kinds_exist_and_refuse_all_use() -> None:
    spec = CollectionSpec.from_file(testdata("maps"))
    loaded = MemoryEngine().load(spec, {"events"}, set(), LoadOptions())
    for name, kind in (("events", "PERF_EVENT_ARRAY"),):
        table = loaded.maps[name]
        for use in (
            lambda: table.lookup(bytes(4)),  # noqa: B023 - called within its round
            lambda: table.update(bytes(4), bytes(4)),  # noqa: B023
            lambda: table.delete(bytes(4)),  # noqa: B023
            lambda: table.next_key(None),  # noqa: B023
            table.stream,
            table.fileno,
        ):
            with pytest.raises(NotSupportedError, match=f"{name}.*{kind}|{name}.*MemoryEngine"):
                use()
