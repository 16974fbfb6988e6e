"""The kinds of programs that ``Program[XDP]`` and its like declare, each with the kernel's program types it stands for."""

from __future__ import annotations

from typing import ClassVar

from ..spec.uapi import ProgType


class ProgramKind:
    """The root of the kinds; `types` are the kernel's program types that belong to one."""

    types: ClassVar[tuple[ProgType, ...]] = ()


class XDP(ProgramKind):
    """Programs at the earliest point of a network driver."""

    types = (ProgType.XDP,)


class TC(ProgramKind):
    """Traffic control classifiers and actions, on tc and tcx."""

    types = (ProgType.SCHED_CLS, ProgType.SCHED_ACT)


class SocketFilter(ProgramKind):
    """Filters on one socket."""

    types = (ProgType.SOCKET_FILTER,)


class CgroupSkb(ProgramKind):
    """Packets that enter or leave a cgroup."""

    types = (ProgType.CGROUP_SKB,)


class Tracepoint(ProgramKind):
    """Tracepoints, with the context that their format file describes."""

    types = (ProgType.TRACEPOINT,)


class RawTracepoint(ProgramKind):
    """Raw tracepoints, with the arguments as the kernel passes them."""

    types = (ProgType.RAW_TRACEPOINT, ProgType.RAW_TRACEPOINT_WRITABLE)


class Tracing(ProgramKind):
    """Programs that BTF types: fentry, fexit, fmod_ret, tp_btf, and iterators."""

    types = (ProgType.TRACING,)


class Probe(ProgramKind):
    """Probes on functions of the kernel and of processes: kprobe, uprobe, USDT."""

    types = (ProgType.KPROBE,)


class PerfEvent(ProgramKind):
    """Programs on performance counters and timers."""

    types = (ProgType.PERF_EVENT,)


class Lsm(ProgramKind):
    """Security hooks."""

    types = (ProgType.LSM,)


class Syscall(ProgramKind):
    """Programs that user space runs when it wants, with `Program.run`."""

    types = (ProgType.SYSCALL,)
