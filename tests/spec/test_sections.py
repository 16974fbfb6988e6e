import ctypes
from collections.abc import Callable, Iterable, Iterator

import pytest

from bpfmodel.spec.sections import DEFINITIONS, SectionDefinition, SectionInfo, parse_section
from bpfmodel.spec.uapi import AttachType as A
from bpfmodel.spec.uapi import MapFlag, MapType, attach_type, map_type, prog_type
from bpfmodel.spec.uapi import ProgType as P


def info(
    definition: str,
    prog: P,
    attach: A | None = None,
    to: str = "",
    *,
    sleepable: bool = False,
    autoload: bool = True,
    frags: bool = False,
) -> SectionInfo:
    return SectionInfo(prog, attach, to, sleepable, autoload, frags, definition)


KNOWN = {
    "socket": info("socket", P.SOCKET_FILTER),
    "xdp": info("xdp", P.XDP, A.XDP),
    "?xdp": info("xdp", P.XDP, A.XDP, autoload=False),
    "xdp.frags": info("xdp.frags", P.XDP, A.XDP, frags=True),
    "xdp/devmap": info("xdp/devmap", P.XDP, A.XDP_DEVMAP),
    "xdp.frags/cpumap": info("xdp.frags/cpumap", P.XDP, A.XDP_CPUMAP, frags=True),
    "tc": info("tc", P.SCHED_CLS),
    "classifier": info("classifier", P.SCHED_CLS),
    "action": info("action", P.SCHED_ACT),
    "tc/ingress": info("tc/ingress", P.SCHED_CLS, A.TCX_INGRESS),
    "tcx/egress": info("tcx/egress", P.SCHED_CLS, A.TCX_EGRESS),
    "netkit/primary": info("netkit/primary", P.SCHED_CLS, A.NETKIT_PRIMARY),
    "kprobe": info("kprobe+", P.KPROBE),
    "kprobe/": info("kprobe+", P.KPROBE),
    "kprobe/do_unlinkat": info("kprobe+", P.KPROBE, to="do_unlinkat"),
    "kretprobe/do_unlinkat+0x10": info("kretprobe+", P.KPROBE, to="do_unlinkat+0x10"),
    "kprobe.multi/bpf_*": info("kprobe.multi+", P.KPROBE, A.TRACE_KPROBE_MULTI, "bpf_*"),
    "kprobe.session/f": info("kprobe.session+", P.KPROBE, A.TRACE_KPROBE_SESSION, "f"),
    "uprobe//bin/true:main": info("uprobe+", P.KPROBE, to="/bin/true:main"),
    "uretprobe.multi.s/p:f": info("uretprobe.multi.s+", P.KPROBE, A.TRACE_UPROBE_MULTI, "p:f", sleepable=True),
    "usdt/libc.so.6:libc:setjmp": info("usdt+", P.KPROBE, to="libc.so.6:libc:setjmp"),
    "ksyscall/openat": info("ksyscall+", P.KPROBE, to="openat"),
    "tracepoint": info("tracepoint+", P.TRACEPOINT),
    "tp/syscalls/sys_enter_openat": info("tp+", P.TRACEPOINT, to="syscalls/sys_enter_openat"),
    "?tracepoint/sched/sched_switch": info("tracepoint+", P.TRACEPOINT, to="sched/sched_switch", autoload=False),
    "raw_tp/sys_enter": info("raw_tp+", P.RAW_TRACEPOINT, to="sys_enter"),
    "raw_tracepoint.w/x": info("raw_tracepoint.w+", P.RAW_TRACEPOINT_WRITABLE, to="x"),
    "raw_tp.s/sys_enter": info("raw_tp.s+", P.RAW_TRACEPOINT, to="sys_enter", sleepable=True),
    "tp_btf/sched_switch": info("tp_btf+", P.TRACING, A.TRACE_RAW_TP, "sched_switch"),
    "fentry/do_nanosleep": info("fentry+", P.TRACING, A.TRACE_FENTRY, "do_nanosleep"),
    "fexit.s/x": info("fexit.s+", P.TRACING, A.TRACE_FEXIT, "x", sleepable=True),
    "fmod_ret.s/x": info("fmod_ret.s+", P.TRACING, A.MODIFY_RETURN, "x", sleepable=True),
    "fsession/x": info("fsession+", P.TRACING, A.TRACE_FSESSION, "x"),
    "fentry.multi/a*": info("fentry.multi+", P.TRACING, A.TRACE_FENTRY_MULTI, "a*"),
    "freplace/old": info("freplace+", P.EXT, to="old"),
    "lsm.s/file_open": info("lsm.s+", P.LSM, A.LSM_MAC, "file_open", sleepable=True),
    "lsm_cgroup/socket_bind": info("lsm_cgroup+", P.LSM, A.LSM_CGROUP, "socket_bind"),
    "iter.s/task": info("iter.s+", P.TRACING, A.TRACE_ITER, "task", sleepable=True),
    "syscall": info("syscall", P.SYSCALL, sleepable=True),
    "struct_ops/init": info("struct_ops+", P.STRUCT_OPS, to="init"),
    "struct_ops.s": info("struct_ops.s+", P.STRUCT_OPS, sleepable=True),
    "perf_event": info("perf_event", P.PERF_EVENT),
    "sockops": info("sockops", P.SOCK_OPS, A.CGROUP_SOCK_OPS),
    "sk_skb": info("sk_skb", P.SK_SKB),
    "sk_skb/stream_parser": info("sk_skb/stream_parser", P.SK_SKB, A.SK_SKB_STREAM_PARSER),
    "sk_reuseport/migrate": info("sk_reuseport/migrate", P.SK_REUSEPORT, A.SK_REUSEPORT_SELECT_OR_MIGRATE),
    "sk_lookup": info("sk_lookup", P.SK_LOOKUP, A.SK_LOOKUP),
    "netfilter": info("netfilter", P.NETFILTER, A.NETFILTER),
    # 0 is an attach type: a name that asks for it is not one that asks for none.
    "cgroup_skb/ingress": info("cgroup_skb/ingress", P.CGROUP_SKB, A.CGROUP_INET_INGRESS),
    "cgroup/skb": info("cgroup/skb", P.CGROUP_SKB),
    "cgroup/sock": info("cgroup/sock", P.CGROUP_SOCK, A.CGROUP_INET_SOCK_CREATE),
    "cgroup/sock_release": info("cgroup/sock_release", P.CGROUP_SOCK, A.CGROUP_INET_SOCK_RELEASE),
    "cgroup/connect_unix": info("cgroup/connect_unix", P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_CONNECT),
    "cgroup/dev": info("cgroup/dev", P.CGROUP_DEVICE, A.CGROUP_DEVICE),
}

UNKNOWN = [
    "",
    "?",
    "/",
    "??xdp",
    "xdp?",
    "xdpfoo",
    "xdp_prog",
    "xdp/",
    "xdp/eth0",
    "xdp.frags/",
    "XDP",
    "socket1",
    "socket/filter",
    "tc/",
    "tc/foo",
    "tcx",
    "tcx/",
    "netkit",
    "classifier/ingress",
    "kprobe+",
    "kprobes/f",
    "kprobe_f",
    "kprobe.s/f",
    "kprobe.multi.s/f",
    "tpx/f",
    "raw_tp_x",
    "fentry.x/f",
    "fmod_ret.multi/f",
    "lsm_cgroup.s/f",
    "freplace.s/f",
    "syscall/",
    "struct_opsx",
    "perf_event/x",
    "cgroup",
    "cgroup/",
    "cgroup_skb",
    "cgroup/skb/x",
    "cgroup/connect5",
    "sk_skb/foo",
    "sk_lookup/x",
    ".text",
    ".maps",
    ".struct_ops",
    "license",
]


@pytest.mark.parametrize("name", KNOWN)
def test_known_name(name: str) -> None:
    assert parse_section(name) == KNOWN[name]


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_name(name: str) -> None:
    assert parse_section(name) is None


def test_types_of_the_answer() -> None:
    answer = parse_section("xdp")
    assert answer is not None
    assert isinstance(answer.prog_type, P)
    assert isinstance(answer.attach_type, A)


def matches(pattern: str, name: str) -> bool:
    # libbpf's rule, one definition at a time: what parse_section's look-ups have to come to.
    if pattern.endswith("+"):
        base = pattern[:-1]
        return name == base or name.startswith(base + "/")
    return name == pattern


def variants(pattern: str) -> list[str]:
    """Give names around a definition: some it takes, some it must not take."""
    base = pattern.rstrip("+")
    return [
        base,
        f"{base}/",
        f"{base}/x",
        f"{base}/x/y",
        f"{base}//x",
        f"{base}x",
        f"{base}.s",
        f"{base}.s/x",
        f"{base}+",
        base[:-1],
        f"x{base}",
        base.upper(),
        f" {base}",
    ]


NAMES = sorted({name for d in DEFINITIONS for name in variants(d.pattern)} | set(KNOWN) | set(UNKNOWN))


def test_lookup_is_the_rule() -> None:
    for name in NAMES:
        bare = name.removeprefix("?")
        hits = [d.pattern for d in DEFINITIONS if matches(d.pattern, bare)]
        answer = parse_section(name)
        assert hits == ([] if answer is None else [answer.definition]), name


def test_patterns() -> None:
    patterns = [d.pattern for d in DEFINITIONS]
    assert len(set(patterns)) == len(patterns)
    for pattern in patterns:
        base = pattern.rstrip("+")
        assert base
        assert not base.endswith("/"), "a form that parse_section does not read"
        assert pattern == base or (pattern == base + "+" and "/" not in base)


def test_sleepable_is_in_the_name() -> None:
    for d in DEFINITIONS:
        base = d.pattern.rstrip("+")
        assert d.sleepable == (base.endswith(".s") or base == "syscall"), d
        assert d.xdp_frags == base.startswith("xdp.frags"), d


@pytest.mark.parametrize("definition", [d for d in DEFINITIONS if d.pattern.endswith(".s+")], ids=lambda d: d.pattern)
def test_sleepable_twin(definition: SectionDefinition) -> None:
    # Apart from sleeping, "name.s" is "name".
    twins = [d for d in DEFINITIONS if d.pattern == definition.pattern[: -len(".s+")] + "+"]
    assert [(d.prog_type, d.attach_type) for d in twins] == [(definition.prog_type, definition.attach_type)]


# The first libbpf (major, minor) to know a definition, for those added after 1.0; where a release is
# not certain the later one stands, which costs a comparison at most.
SINCE: dict[str, tuple[int, int]] = {
    "struct_ops.s+": (1, 2),
    # 1.2 had the name, without an attach type
    "netfilter": (1, 3),
    "tc/ingress": (1, 3),
    "tc/egress": (1, 3),
    "tcx/ingress": (1, 3),
    "tcx/egress": (1, 3),
    "netkit/primary": (1, 3),
    "netkit/peer": (1, 3),
    "uprobe.multi+": (1, 3),
    "uprobe.multi.s+": (1, 3),
    "uretprobe.multi+": (1, 3),
    "uretprobe.multi.s+": (1, 3),
    "cgroup/connect_unix": (1, 3),
    "cgroup/sendmsg_unix": (1, 3),
    "cgroup/recvmsg_unix": (1, 3),
    "cgroup/getpeername_unix": (1, 3),
    "cgroup/getsockname_unix": (1, 3),
    "usdt.s+": (1, 4),
    "kprobe.session+": (1, 5),
    "sk_skb/verdict": (1, 5),
    "uprobe.session+": (1, 6),
    "uprobe.session.s+": (1, 6),
    "fsession+": (1, 8),
    "fsession.s+": (1, 8),
    "fentry.multi+": (1, 8),
    "fentry.multi.s+": (1, 8),
    "fexit.multi+": (1, 8),
    "fexit.multi.s+": (1, 8),
    "fsession.multi+": (1, 8),
    "fsession.multi.s+": (1, 8),
    "tp_btf.s+": (1, 8),
    "tp.s+": (1, 8),
    "tracepoint.s+": (1, 8),
    "raw_tp.s+": (1, 8),
    "raw_tracepoint.s+": (1, 8),
}


def test_since_names_definitions() -> None:
    assert set(SINCE) <= {d.pattern for d in DEFINITIONS}


class Libbpf:
    """The installed libbpf, asked what it reads out of a section name."""

    def __init__(self, lib: ctypes.CDLL) -> None:
        lib.libbpf_major_version.restype = lib.libbpf_minor_version.restype = ctypes.c_uint32
        lib.libbpf_prog_type_by_name.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p]
        lib.libbpf_set_print.argtypes = [ctypes.c_void_p]
        lib.libbpf_set_print.restype = ctypes.c_void_p
        self.version: tuple[int, int] = (lib.libbpf_major_version(), lib.libbpf_minor_version())
        self.set_print: Callable[..., int | None] = lib.libbpf_set_print
        self._by_name: Callable[..., int] = lib.libbpf_prog_type_by_name

    def __call__(self, name: str) -> tuple[int, int] | None:
        prog, attach = ctypes.c_int(-1), ctypes.c_int(-1)
        if self._by_name(name.encode(), ctypes.byref(prog), ctypes.byref(attach)) < 0:
            return None
        return prog.value, attach.value


def installed() -> Libbpf | None:
    try:
        return Libbpf(ctypes.CDLL("libbpf.so.1"))
    except OSError:
        return None


INSTALLED = installed()
# Asked is only what the installed libbpf can know; without one there is nothing to ask, and no test.
ASKED = [INSTALLED] if INSTALLED else []
KNOWN_TO_IT = [(lib, d.pattern) for lib in ASKED for d in DEFINITIONS if lib.version >= SINCE.get(d.pattern, (1, 0))]


@pytest.fixture
def libbpf(request: pytest.FixtureRequest) -> Iterator[Libbpf]:
    lib: Libbpf = request.param
    # Unknown names are asked for on purpose; the printer is the whole process's, so it is put back.
    printer = lib.set_print(None)
    yield lib
    lib.set_print(printer)


def compare(libbpf: Libbpf, names: Iterable[str]) -> set[str]:
    """Compare the names with libbpf; return the definitions it is too old for."""
    newer = set()
    for name in names:
        answer = parse_section(name)
        if answer is None:
            assert libbpf(name) is None, name
        elif libbpf.version < SINCE.get(answer.definition, (1, 0)):
            newer.add(answer.definition)
        else:
            assert libbpf(name) == (int(answer.prog_type), int(answer.attach_type or 0)), name
    return newer


@pytest.mark.parametrize(("libbpf", "pattern"), KNOWN_TO_IT, indirect=["libbpf"], ids=[p for _, p in KNOWN_TO_IT])
def test_same_as_libbpf(libbpf: Libbpf, pattern: str) -> None:
    # Names next to a definition may belong to a newer one ("fexit" + ".s"): its own do not.
    assert pattern not in compare(libbpf, variants(pattern))


@pytest.mark.parametrize("libbpf", ASKED, indirect=True, ids=["installed"] * len(ASKED))
def test_listed_names_same_as_libbpf(libbpf: Libbpf) -> None:
    # libbpf takes a leading "?" off before it looks a name up, and not in the function asked here.
    names = [name for name in (*KNOWN, *UNKNOWN) if not name.startswith("?")]
    newer = compare(libbpf, names)
    assert newer < {answer.definition for answer in KNOWN.values()}


@pytest.mark.parametrize(
    ("member", "value"),
    [
        (MapType.HASH, 1),
        (MapType.PERCPU_ARRAY, 6),
        (MapType.LPM_TRIE, 11),
        (MapType.SOCKHASH, 18),
        (MapType.CGROUP_STORAGE, 19),
        (MapType.REUSEPORT_SOCKARRAY, 20),
        (MapType.STRUCT_OPS, 26),
        (MapType.RINGBUF, 27),
        (MapType.USER_RINGBUF, 31),
        (MapType.ARENA, 33),
        (P.SOCKET_FILTER, 1),
        (P.XDP, 6),
        (P.RAW_TRACEPOINT, 17),
        (P.TRACING, 26),
        (P.SYSCALL, 31),
        (P.NETFILTER, 32),
        (A.CGROUP_INET_INGRESS, 0),
        (A.TRACE_FENTRY, 24),
        (A.XDP, 37),
        (A.LSM_CGROUP, 43),
        (A.TCX_INGRESS, 46),
        (A.NETKIT_PEER, 55),
        (A.TRACE_UPROBE_SESSION, 57),
        (MapFlag.NO_PREALLOC, 0x1),
        (MapFlag.RDONLY_PROG, 0x80),
        (MapFlag.MMAPABLE, 0x400),
        (MapFlag.INNER_MAP, 0x1000),
        (MapFlag.RB_OVERWRITE, 0x80000),
    ],
)
def test_uapi_number(member: int, value: int) -> None:
    assert int(member) == value


@pytest.mark.parametrize("enumeration", [MapType, P, A])
def test_numbers_have_no_gap(enumeration: type[MapType] | type[P] | type[A]) -> None:
    assert [int(member) for member in enumeration] == list(range(len(enumeration)))


def test_flags_are_one_bit_each() -> None:
    assert [int(flag) for flag in MapFlag] == [1 << bit for bit in range(len(MapFlag))]


def test_deprecated_names_are_aliases() -> None:
    assert MapType["CGROUP_STORAGE_DEPRECATED"] is MapType.CGROUP_STORAGE
    assert MapType["PERCPU_CGROUP_STORAGE_DEPRECATED"] is MapType.PERCPU_CGROUP_STORAGE


@pytest.mark.parametrize(("name_of", "known"), [(map_type, MapType.HASH), (prog_type, P.XDP), (attach_type, A.XDP)])
def test_unknown_number_stays_an_int(name_of: Callable[[int], int], known: int) -> None:
    assert name_of(int(known)) is known
    assert name_of(9999) == 9999
    assert type(name_of(9999)) is int


def test_unknown_flag_is_kept() -> None:
    value = MapFlag((1 << 30) | 1)
    assert int(value) == (1 << 30) | 1
    assert MapFlag.NO_PREALLOC in value
