"""Reading the committed objects: maps of all kinds, programs, and what refers to what."""

from __future__ import annotations

import pytest
from support.data import TESTDATA, testdata
from support.objects import ObjectBuilder, call, exit_, ld_imm64, mov64_imm

from bpfmodel import AttachType, CollectionSpec, MapType, ProgType
from bpfmodel.btf import kinds
from bpfmodel.btf.render import c_name

NAMES = sorted(path.name.partition(".")[0] for path in TESTDATA.glob("*.bpf.o"))
SPECS = {name: CollectionSpec.from_file(testdata(name)) for name in NAMES}
MAPS = SPECS["maps"].maps


def named(type: kinds.Type | None) -> str:
    return "" if type is None else c_name(type)


@pytest.mark.parametrize(
    ("name", "type", "sizes", "max_entries", "types"),
    [
        ("flows", MapType.HASH, (4, 16), 64, ("__u32", "struct stats")),
        ("counters", MapType.ARRAY, (4, 8), 8, ("__u32", "__u64")),
        ("sized", MapType.HASH, (4, 8), 16, ("", "")),
        ("hidden_def", MapType.HASH, (8, 2), 4, ("__u64", "__u16")),
        ("lru", MapType.LRU_HASH, (4, 4), 32, ("__u32", "__u32")),
        ("percpu", MapType.PERCPU_ARRAY, (4, 4), 2, ("__u32", "__u32")),
        ("percpu_hash", MapType.PERCPU_HASH, (4, 16), 8, ("__u32", "struct stats")),
        ("ring", MapType.RINGBUF, (0, 0), 4096, ("", "struct event")),
        ("plain_ring", MapType.RINGBUF, (0, 0), 8192, ("", "")),
        ("trie", MapType.LPM_TRIE, (8, 4), 16, ("struct prefix", "__u32")),
        ("queue", MapType.QUEUE, (0, 4), 8, ("", "__u32")),
        ("stack", MapType.STACK, (0, 4), 8, ("", "__u32")),
        ("bloom", MapType.BLOOM_FILTER, (0, 4), 16, ("", "__u32")),
        ("events", MapType.PERF_EVENT_ARRAY, (4, 4), 0, ("", "")),
        ("inner_a", MapType.ARRAY, (4, 8), 2, ("__u32", "__u64")),
        ("outer", MapType.ARRAY_OF_MAPS, (4, 4), 3, ("__u32", "")),
        ("jmp", MapType.PROG_ARRAY, (4, 4), 3, ("__u32", "")),
    ],
)
def test_map(name: str, type: MapType, sizes: tuple[int, int], max_entries: int, types: tuple[str, str]) -> None:
    spec = MAPS[name]
    assert (spec.type, (spec.key_size, spec.value_size), spec.max_entries) == (type, sizes, max_entries)
    assert (named(spec.key), named(spec.value)) == types
    assert not spec.is_data and not spec.constant


def test_every_map_is_here() -> None:
    rows = test_map.pytestmark[0].args[1]
    assert {row[0] for row in rows} == {name for name, spec in MAPS.items() if not spec.is_data}


def test_flags_and_extra() -> None:
    assert {name: spec.flags for name, spec in MAPS.items() if spec.flags and not spec.is_data} == {
        "counters": 0x400, "trie": 1,
    }  # fmt: skip
    assert {name: spec.extra for name, spec in MAPS.items() if spec.extra} == {"bloom": 3}


def test_pinning() -> None:
    maps = SPECS["pinned"].maps
    assert (maps["pinned"].pinning, maps["unpinned"].pinning) == (1, 0)


def test_maps_of_maps_and_programs() -> None:
    outer, jump = MAPS["outer"], MAPS["jmp"]
    assert outer.values == {1: "inner_a"}
    assert outer.inner is not None
    inner = outer.inner
    assert (inner.type, inner.key_size, inner.value_size, inner.max_entries) == (MapType.ARRAY, 4, 8, 2)
    assert jump.values == {0: "leaf_first", 2: "leaf_last"} and jump.inner is None


def test_closure_follows_maps_and_programs() -> None:
    spec = SPECS["maps"]
    assert spec.closure(["outer"], []) == ({"outer", "inner_a"}, set())
    assert spec.closure([], ["tail"]) == ({"jmp"}, {"tail", "leaf_first", "leaf_last"})
    assert spec.closure(["flows"], ["count_len"]) == ({"flows"}, {"count_len"})
    assert spec.closure([], []) == (set(), set())


@pytest.mark.parametrize("name", NAMES)
def test_data_sections_are_maps(name: str) -> None:
    for section, spec in SPECS[name].maps.items():
        if not spec.is_data:
            continue
        assert (spec.type, spec.key_size, spec.max_entries) == (MapType.ARRAY, 4, 1)
        assert spec.constant == section.startswith(".rodata") == bool(spec.flags & 0x80)
        assert spec.image is not None and len(spec.image) in (0, spec.value_size)
        assert (len(spec.image) == 0) == section.startswith(".bss")


@pytest.mark.parametrize(
    ("name", "section", "mappable"),
    [("visibility", ".data", True), ("visibility", ".data.private", False), ("nobtf", ".data", False),
     ("maps", ".rodata.cst32", False), ("zero", ".bss", True)],
)  # fmt: skip
def test_only_sections_with_a_visible_variable_are_mappable(name: str, section: str, mappable: bool) -> None:
    assert bool(SPECS[name].maps[section].flags & 0x400) == mappable


# Programs


@pytest.mark.parametrize(
    ("name", "section", "type", "attach_type", "attach_to"),
    [
        ("count_raw_tp", "raw_tp/sys_enter", ProgType.RAW_TRACEPOINT, None, "sys_enter"),
        ("count_tp", "tracepoint/syscalls/sys_enter_getppid", ProgType.TRACEPOINT, None, "syscalls/sys_enter_getppid"),
        ("count_fentry", "fentry/bpf_fentry_test1", ProgType.TRACING, AttachType.TRACE_FENTRY, "bpf_fentry_test1"),
        ("count_xdp", "xdp", ProgType.XDP, AttachType.XDP, ""),
        ("count_xdp_off", "?xdp", ProgType.XDP, AttachType.XDP, ""),
        ("count_socket", "socket", ProgType.SOCKET_FILTER, None, ""),
        ("count_cgroup_skb", "cgroup_skb/egress", ProgType.CGROUP_SKB, AttachType.CGROUP_INET_EGRESS, ""),
        ("count_tc", "tc", ProgType.SCHED_CLS, None, ""),
        ("count_perf_event", "perf_event", ProgType.PERF_EVENT, None, ""),
        ("count_iter", "iter/task", ProgType.TRACING, AttachType.TRACE_ITER, "task"),
        ("count_kprobe", "kprobe/do_nanosleep", ProgType.KPROBE, None, "do_nanosleep"),
    ],
)
def test_program(name: str, section: str, type: ProgType, attach_type: AttachType | None, attach_to: str) -> None:
    spec = SPECS["attach"].programs[name]
    assert (spec.section, spec.type, spec.attach_type, spec.attach_to) == (section, type, attach_type, attach_to)
    assert spec.autoload == (name != "count_xdp_off")
    assert spec.license == SPECS["attach"].license == "GPL"
    assert len(spec.instructions) % 8 == 0 and spec.instructions[-8] == 0x95, "it ends in exit"


def test_syscall_programs_sleep() -> None:
    assert SPECS["scalars"].programs["bump"].sleepable and not SPECS["attach"].programs["count_xdp"].sleepable


@pytest.mark.parametrize(
    ("name", "programs"),
    [
        ("lazy", "good broken broken_user"), ("linked", "run_a run_b"), ("bigendian", "swap"), ("nobtf", "limited"),
        ("closure", "direct via_static via_global via_callback lonely"),
        ("maps", "touch count_len emit store tail leaf_first leaf_last"),
        ("visibility", "first second read_hz externs"),
    ],
)  # fmt: skip
def test_programs_and_no_subprograms(name: str, programs: str) -> None:
    assert set(SPECS[name].programs) == set(programs.split())


# References


@pytest.mark.parametrize(
    ("program", "maps", "variables"),
    [
        ("direct", {".bss"}, {"a"}),
        ("via_static", {"m1", ".data"}, {"b"}),
        ("via_global", {"m2"}, set()),
        ("via_callback", {"m3"}, set()),
        ("lonely", set(), set()),
    ],
)
def test_references_through_functions(program: str, maps: set[str], variables: set[str]) -> None:
    spec = SPECS["closure"].programs[program]
    assert (set(spec.maps), set(spec.variables)) == (maps, variables)


@pytest.mark.parametrize(
    ("name", "program", "maps"),
    [
        ("lazy", "good", {".bss", "good_map"}),
        ("lazy", "broken", set()),
        ("lazy", "broken_user", {"broken_map"}),
        ("visibility", "read_hz", {".kconfig"}),
        ("maps", "tail", {"jmp"}),
        ("maps", "emit", {"ring", "plain_ring", "events"}),
        ("bigendian", "swap", {".bss", ".data", ".rodata", "flows"}),
        ("nobtf", "limited", {".bss", ".data", ".rodata"}),
        ("linked", "run_b", {".bss", ".data", ".rodata", "shared_map"}),
    ],
)
def test_references_of_programs(name: str, program: str, maps: set[str]) -> None:
    assert set(SPECS[name].programs[program].maps) == maps


@pytest.mark.parametrize("order", ["little", "big"])
def test_references_through_a_circle_of_functions(order: str) -> None:
    """even calls odd, odd calls even: the verifier refuses it, reading it must end."""
    builder = ObjectBuilder(order)  # type: ignore[arg-type]
    word = builder.btf.common("__u32")
    builder.variable("x", word, 4, ".bss")
    builder.variable("y", word, 4, ".data", initial=bytes(4))
    builder.program("even", ".text", ld_imm64(1) + call(-1, 1) + exit_(), [(0, "x"), (2, "odd")])
    builder.program("odd", ".text", ld_imm64(1) + call(-1, 1) + exit_(), [(0, "y"), (2, "even")], bind="local")
    builder.program("main", "xdp", call(-1, 1) + exit_(), [(0, "odd")])
    builder.program("other", "xdp", mov64_imm(0, 0) + exit_())
    programs = CollectionSpec.from_bytes(builder.build()).programs
    assert (programs["main"].variables, programs["main"].maps) == (("x", "y"), (".bss", ".data"))
    assert (programs["other"].variables, programs["other"].maps) == ((), ())


def test_static_variables_keep_their_section_needed() -> None:
    builder = ObjectBuilder()
    word = builder.btf.common("__u32")
    builder.variable("visible", word, 4, ".bss")
    builder.variable("hidden", word, 4, ".bss", bind="local")
    builder.program("main", "xdp", ld_imm64(1) + exit_(), [(0, "hidden")])
    spec = CollectionSpec.from_bytes(builder.build())
    assert spec.programs["main"].maps == (".bss",)
    assert not spec.variables["visible"].referenced
