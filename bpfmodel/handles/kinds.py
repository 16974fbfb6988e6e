"""The kinds of programs that ``Program[XDP]`` and its like declare, each with the kernel's program types it stands for."""

from __future__ import annotations

from typing import ClassVar


class ProgramKind:
    """The root of the kinds; `types` are the names of the kernel's program types that belong to one."""

    types: ClassVar[tuple[str, ...]] = ()


class XDP(ProgramKind):
    """Programs at the earliest point of a network driver."""

    types = ("XDP",)


class TC(ProgramKind):
    """Traffic control classifiers and actions, on tc and tcx."""

    types = ("SCHED_CLS", "SCHED_ACT")


class SocketFilter(ProgramKind):
    """Filters on one socket."""

    types = ("SOCKET_FILTER",)


class CgroupSkb(ProgramKind):
    """Packets that enter or leave a cgroup."""

    types = ("CGROUP_SKB",)


class Tracepoint(ProgramKind):
    """Tracepoints, with the context that their format file describes."""

    types = ("TRACEPOINT",)


class RawTracepoint(ProgramKind):
    """Raw tracepoints, with the arguments as the kernel passes them."""

    types = ("RAW_TRACEPOINT", "RAW_TRACEPOINT_WRITABLE")


class Tracing(ProgramKind):
    """Programs that BTF types: fentry, fexit, fmod_ret, tp_btf, and iterators."""

    types = ("TRACING",)


class Probe(ProgramKind):
    """Probes on functions of the kernel and of processes: kprobe, uprobe, USDT."""

    types = ("KPROBE",)


class PerfEvent(ProgramKind):
    """Programs on performance counters and timers."""

    types = ("PERF_EVENT",)


class Lsm(ProgramKind):
    """Security hooks."""

    types = ("LSM",)


class Syscall(ProgramKind):
    """Programs that user space runs when it wants, with `Program.run`."""

    types = ("SYSCALL",)
