"""What an ELF section name says about the program in it, read the way libbpf reads it.

libbpf takes a program's type, expected attach type and load flags from the name of its section.
`DEFINITIONS` lists the names it knows, as of libbpf 1.8; `parse_section` finds the one that applies.
Handlers that a process registers with libbpf at run time are outside of what a name alone can tell.
"""

from typing import NamedTuple

from .uapi import AttachType, ProgType
from .uapi import AttachType as A
from .uapi import ProgType as P

__all__ = ["DEFINITIONS", "SectionDefinition", "SectionInfo", "parse_section"]


class SectionDefinition(NamedTuple):
    """One section name libbpf knows.

    A `pattern` ending in "+" stands for the name before the "+", either alone or followed by "/" and
    anything at all; any other pattern stands for exactly itself.
    """

    pattern: str
    prog_type: ProgType
    attach_type: AttachType | None = None
    sleepable: bool = False
    xdp_frags: bool = False


class SectionInfo(NamedTuple):
    """What the name of a program's section says about the program."""

    prog_type: ProgType
    """Type the program is loaded with."""
    attach_type: AttachType | None
    """Expected attach type, None where the name does not set one."""
    attach_to: str
    """What follows the first "/", for names that take such a part ("sys_enter"); "" where there is none."""
    sleepable: bool
    """Whether the program is loaded as one that may sleep."""
    autoload: bool
    """Whether loading the object loads the program; False for a name that starts with "?"."""
    xdp_frags: bool
    """Whether an XDP program is loaded as one that copes with multi-buffer packets."""
    definition: str
    """Pattern of the definition that matched, as in `SectionDefinition.pattern` ("raw_tp+")."""


_D = SectionDefinition

DEFINITIONS: tuple[SectionDefinition, ...] = (
    _D("socket", P.SOCKET_FILTER),
    _D("sk_reuseport/migrate", P.SK_REUSEPORT, A.SK_REUSEPORT_SELECT_OR_MIGRATE),
    _D("sk_reuseport", P.SK_REUSEPORT, A.SK_REUSEPORT_SELECT),
    # Probes
    _D("kprobe+", P.KPROBE),
    _D("kretprobe+", P.KPROBE),
    _D("uprobe+", P.KPROBE),
    _D("uprobe.s+", P.KPROBE, sleepable=True),
    _D("uretprobe+", P.KPROBE),
    _D("uretprobe.s+", P.KPROBE, sleepable=True),
    _D("kprobe.multi+", P.KPROBE, A.TRACE_KPROBE_MULTI),
    _D("kretprobe.multi+", P.KPROBE, A.TRACE_KPROBE_MULTI),
    _D("kprobe.session+", P.KPROBE, A.TRACE_KPROBE_SESSION),
    _D("uprobe.multi+", P.KPROBE, A.TRACE_UPROBE_MULTI),
    _D("uprobe.multi.s+", P.KPROBE, A.TRACE_UPROBE_MULTI, sleepable=True),
    _D("uretprobe.multi+", P.KPROBE, A.TRACE_UPROBE_MULTI),
    _D("uretprobe.multi.s+", P.KPROBE, A.TRACE_UPROBE_MULTI, sleepable=True),
    _D("uprobe.session+", P.KPROBE, A.TRACE_UPROBE_SESSION),
    _D("uprobe.session.s+", P.KPROBE, A.TRACE_UPROBE_SESSION, sleepable=True),
    _D("ksyscall+", P.KPROBE),
    _D("kretsyscall+", P.KPROBE),
    _D("usdt+", P.KPROBE),
    _D("usdt.s+", P.KPROBE, sleepable=True),
    # Traffic control; "tc/..." are aliases of "tcx/...", the three bare names are the older interface
    _D("tc/ingress", P.SCHED_CLS, A.TCX_INGRESS),
    _D("tc/egress", P.SCHED_CLS, A.TCX_EGRESS),
    _D("tcx/ingress", P.SCHED_CLS, A.TCX_INGRESS),
    _D("tcx/egress", P.SCHED_CLS, A.TCX_EGRESS),
    _D("tc", P.SCHED_CLS),
    _D("classifier", P.SCHED_CLS),
    _D("action", P.SCHED_ACT),
    _D("netkit/primary", P.SCHED_CLS, A.NETKIT_PRIMARY),
    _D("netkit/peer", P.SCHED_CLS, A.NETKIT_PEER),
    # Tracepoints
    _D("tracepoint+", P.TRACEPOINT),
    _D("tracepoint.s+", P.TRACEPOINT, sleepable=True),
    _D("tp+", P.TRACEPOINT),
    _D("tp.s+", P.TRACEPOINT, sleepable=True),
    _D("raw_tracepoint+", P.RAW_TRACEPOINT),
    _D("raw_tracepoint.s+", P.RAW_TRACEPOINT, sleepable=True),
    _D("raw_tp+", P.RAW_TRACEPOINT),
    _D("raw_tp.s+", P.RAW_TRACEPOINT, sleepable=True),
    _D("raw_tracepoint.w+", P.RAW_TRACEPOINT_WRITABLE),
    _D("raw_tp.w+", P.RAW_TRACEPOINT_WRITABLE),
    # Programs attached by BTF id
    _D("tp_btf+", P.TRACING, A.TRACE_RAW_TP),
    _D("tp_btf.s+", P.TRACING, A.TRACE_RAW_TP, sleepable=True),
    _D("fentry+", P.TRACING, A.TRACE_FENTRY),
    _D("fentry.s+", P.TRACING, A.TRACE_FENTRY, sleepable=True),
    _D("fentry.multi+", P.TRACING, A.TRACE_FENTRY_MULTI),
    _D("fentry.multi.s+", P.TRACING, A.TRACE_FENTRY_MULTI, sleepable=True),
    _D("fmod_ret+", P.TRACING, A.MODIFY_RETURN),
    _D("fmod_ret.s+", P.TRACING, A.MODIFY_RETURN, sleepable=True),
    _D("fexit+", P.TRACING, A.TRACE_FEXIT),
    _D("fexit.s+", P.TRACING, A.TRACE_FEXIT, sleepable=True),
    _D("fexit.multi+", P.TRACING, A.TRACE_FEXIT_MULTI),
    _D("fexit.multi.s+", P.TRACING, A.TRACE_FEXIT_MULTI, sleepable=True),
    _D("fsession+", P.TRACING, A.TRACE_FSESSION),
    _D("fsession.s+", P.TRACING, A.TRACE_FSESSION, sleepable=True),
    _D("fsession.multi+", P.TRACING, A.TRACE_FSESSION_MULTI),
    _D("fsession.multi.s+", P.TRACING, A.TRACE_FSESSION_MULTI, sleepable=True),
    _D("freplace+", P.EXT),
    _D("lsm+", P.LSM, A.LSM_MAC),
    _D("lsm.s+", P.LSM, A.LSM_MAC, sleepable=True),
    _D("lsm_cgroup+", P.LSM, A.LSM_CGROUP),
    _D("iter+", P.TRACING, A.TRACE_ITER),
    _D("iter.s+", P.TRACING, A.TRACE_ITER, sleepable=True),
    # The kernel takes syscall programs only as sleepable ones, hence no ".s" spelling
    _D("syscall", P.SYSCALL, sleepable=True),
    # XDP
    _D("xdp.frags/devmap", P.XDP, A.XDP_DEVMAP, xdp_frags=True),
    _D("xdp/devmap", P.XDP, A.XDP_DEVMAP),
    _D("xdp.frags/cpumap", P.XDP, A.XDP_CPUMAP, xdp_frags=True),
    _D("xdp/cpumap", P.XDP, A.XDP_CPUMAP),
    _D("xdp.frags", P.XDP, A.XDP, xdp_frags=True),
    _D("xdp", P.XDP, A.XDP),
    _D("perf_event", P.PERF_EVENT),
    _D("lwt_in", P.LWT_IN),
    _D("lwt_out", P.LWT_OUT),
    _D("lwt_xmit", P.LWT_XMIT),
    _D("lwt_seg6local", P.LWT_SEG6LOCAL),
    # Sockets
    _D("sockops", P.SOCK_OPS, A.CGROUP_SOCK_OPS),
    _D("sk_skb/stream_parser", P.SK_SKB, A.SK_SKB_STREAM_PARSER),
    _D("sk_skb/stream_verdict", P.SK_SKB, A.SK_SKB_STREAM_VERDICT),
    _D("sk_skb/verdict", P.SK_SKB, A.SK_SKB_VERDICT),
    _D("sk_skb", P.SK_SKB),
    _D("sk_msg", P.SK_MSG, A.SK_MSG_VERDICT),
    _D("sk_lookup", P.SK_LOOKUP, A.SK_LOOKUP),
    _D("lirc_mode2", P.LIRC_MODE2, A.LIRC_MODE2),
    _D("flow_dissector", P.FLOW_DISSECTOR, A.FLOW_DISSECTOR),
    _D("netfilter", P.NETFILTER, A.NETFILTER),
    # Control groups
    _D("cgroup_skb/ingress", P.CGROUP_SKB, A.CGROUP_INET_INGRESS),
    _D("cgroup_skb/egress", P.CGROUP_SKB, A.CGROUP_INET_EGRESS),
    _D("cgroup/skb", P.CGROUP_SKB),
    _D("cgroup/sock_create", P.CGROUP_SOCK, A.CGROUP_INET_SOCK_CREATE),
    _D("cgroup/sock_release", P.CGROUP_SOCK, A.CGROUP_INET_SOCK_RELEASE),
    _D("cgroup/sock", P.CGROUP_SOCK, A.CGROUP_INET_SOCK_CREATE),
    _D("cgroup/post_bind4", P.CGROUP_SOCK, A.CGROUP_INET4_POST_BIND),
    _D("cgroup/post_bind6", P.CGROUP_SOCK, A.CGROUP_INET6_POST_BIND),
    _D("cgroup/bind4", P.CGROUP_SOCK_ADDR, A.CGROUP_INET4_BIND),
    _D("cgroup/bind6", P.CGROUP_SOCK_ADDR, A.CGROUP_INET6_BIND),
    _D("cgroup/connect4", P.CGROUP_SOCK_ADDR, A.CGROUP_INET4_CONNECT),
    _D("cgroup/connect6", P.CGROUP_SOCK_ADDR, A.CGROUP_INET6_CONNECT),
    _D("cgroup/connect_unix", P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_CONNECT),
    _D("cgroup/sendmsg4", P.CGROUP_SOCK_ADDR, A.CGROUP_UDP4_SENDMSG),
    _D("cgroup/sendmsg6", P.CGROUP_SOCK_ADDR, A.CGROUP_UDP6_SENDMSG),
    _D("cgroup/sendmsg_unix", P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_SENDMSG),
    _D("cgroup/recvmsg4", P.CGROUP_SOCK_ADDR, A.CGROUP_UDP4_RECVMSG),
    _D("cgroup/recvmsg6", P.CGROUP_SOCK_ADDR, A.CGROUP_UDP6_RECVMSG),
    _D("cgroup/recvmsg_unix", P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_RECVMSG),
    _D("cgroup/getpeername4", P.CGROUP_SOCK_ADDR, A.CGROUP_INET4_GETPEERNAME),
    _D("cgroup/getpeername6", P.CGROUP_SOCK_ADDR, A.CGROUP_INET6_GETPEERNAME),
    _D("cgroup/getpeername_unix", P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_GETPEERNAME),
    _D("cgroup/getsockname4", P.CGROUP_SOCK_ADDR, A.CGROUP_INET4_GETSOCKNAME),
    _D("cgroup/getsockname6", P.CGROUP_SOCK_ADDR, A.CGROUP_INET6_GETSOCKNAME),
    _D("cgroup/getsockname_unix", P.CGROUP_SOCK_ADDR, A.CGROUP_UNIX_GETSOCKNAME),
    _D("cgroup/sysctl", P.CGROUP_SYSCTL, A.CGROUP_SYSCTL),
    _D("cgroup/getsockopt", P.CGROUP_SOCKOPT, A.CGROUP_GETSOCKOPT),
    _D("cgroup/setsockopt", P.CGROUP_SOCKOPT, A.CGROUP_SETSOCKOPT),
    _D("cgroup/dev", P.CGROUP_DEVICE, A.CGROUP_DEVICE),
    _D("struct_ops+", P.STRUCT_OPS),
    _D("struct_ops.s+", P.STRUCT_OPS, sleepable=True),
)
"""The section names libbpf knows; no name matches two of them, so their order does not matter."""

# libbpf's matching has a third form, "name/" for names that need what follows the slash; none of its
# definitions has used it since 1.0.  With the two left, two look-ups do instead of a walk.
_EXACT = {d.pattern: d for d in DEFINITIONS if not d.pattern.endswith("+")}
_OPEN = {d.pattern[:-1]: d for d in DEFINITIONS if d.pattern.endswith("+")}


def parse_section(name: str) -> SectionInfo | None:
    """Return what a program's section name says, or None for a name libbpf does not know.

    One leading "?", which marks a program that is not loaded unless asked for, is taken off first.
    """
    autoload = not name.startswith("?")
    if not autoload:
        name = name[1:]
    found, attach_to = _EXACT.get(name), ""
    if found is None:
        head, _, attach_to = name.partition("/")
        found = _OPEN.get(head)
        if found is None:
            return None
    return SectionInfo(
        found.prog_type,
        found.attach_type,
        attach_to,
        found.sleepable,
        autoload,
        found.xdp_frags,
        found.pattern,
    )
