"""`Program.run`: packets and contexts in and out, repetition, and what can not be run."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Any

import pytest
from support.data import testdata

from bpfmodel import (
    BpfObjects,
    BpfTypeError,
    Const,
    Engine,
    HashMap,
    NotSupportedError,
    Program,
    RunError,
    Var,
    u32,
    u64,
)

pytestmark = pytest.mark.kernel

PACKET = bytes(range(20))


class Objects(BpfObjects):
    target_pid: Const[u32]
    n_grow: Var[u64]
    n_mangle: Var[u64]
    n_raw_tp: Var[u64]
    n_xdp: Var[u64]
    n_socket: Var[u64]
    n_tc: Var[u64]
    grow: Program
    mangle: Program
    count_xdp: Program
    count_socket: Program
    count_tc: Program
    count_cgroup_skb: Program
    count_raw_tp: Program
    count_tp: Program
    count_kprobe: Program
    count_perf_event: Program


class Calls(BpfObjects):
    touch: Program


class Sum(BpfObjects):
    sum: Program
    bump: Program


@pytest.fixture
def objs(kernel: Engine) -> Iterator[Objects]:
    constants = {"target_pid": os.getpid()}
    with Objects.load_and_assign(testdata("attach"), constants=constants, engine=kernel) as loaded:
        yield loaded


def test_a_packet_that_grows_comes_out_longer(objs: Objects) -> None:
    result = objs.grow.run(PACKET)
    assert result.retval == 3  # XDP_TX
    assert result.data == bytes(range(0xE0, 0xEE)) + PACKET
    assert result.ctx == b""
    assert objs.n_grow.get() == 1


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_packet_that_is_changed_comes_out_changed(objs: Objects, kind: Any) -> None:
    packet = kind(PACKET)
    result = objs.mangle.run(packet)
    assert result.retval == 2  # XDP_PASS
    assert result.data == b"\xff\xaa\x03\x02" + PACKET[4:]
    assert bytes(packet) == PACKET  # what went in is not touched


def test_large_packets_come_out_whole(objs: Objects) -> None:
    packet = os.urandom(3000)
    assert objs.count_xdp.run(packet).data == packet


def test_repeat_runs_as_often_and_measures(objs: Objects) -> None:
    result = objs.count_xdp.run(PACKET, repeat=1000)
    assert objs.n_xdp.get() == 1000
    assert result.repeat == 1000
    assert 0 <= result.duration < 10**9
    assert objs.count_xdp.run(PACKET).repeat == 1
    assert objs.n_xdp.get() == 1001


@pytest.mark.parametrize("repeat", [0, -1, 2**31, 2**32 + 1])
def test_a_repeat_out_of_range_is_refused_and_never_wraps(objs: Objects, repeat: int) -> None:
    with pytest.raises(RunError, match="repeat"):
        objs.count_xdp.run(PACKET, repeat=repeat)
    assert objs.n_xdp.get() == 0


@pytest.mark.parametrize("length", [0, 1, 13])
def test_a_packet_that_is_too_short_says_what_is_needed(objs: Objects, length: int) -> None:
    with pytest.raises(RunError, match=f"count_xdp.*14 bytes.*{length}") as caught:
        objs.count_xdp.run(bytes(length))
    assert caught.value.errno == errno.EINVAL


def test_programs_on_socket_buffers(objs: Objects) -> None:
    assert objs.count_socket.run(PACKET).retval == len(PACKET) - 14  # without the Ethernet header
    assert objs.count_tc.run(PACKET).data == PACKET
    assert objs.count_cgroup_skb.run(PACKET).retval == 1
    assert (objs.n_socket.get(), objs.n_tc.get()) == (1, 1)


def test_a_context_goes_in_and_comes_out(objs: Objects) -> None:
    skb = bytearray(192)
    skb[8:12] = (7).to_bytes(4, "little")  # __sk_buff.mark
    result = objs.count_tc.run(PACKET, ctx=skb)
    assert len(result.ctx) == 192
    assert result.ctx[8:12] == skb[8:12]
    assert int.from_bytes(result.ctx[160:164], "little") == len(PACKET)  # __sk_buff.wire_len, filled in by the kernel


def test_a_context_the_kernel_refuses_is_told(objs: Objects) -> None:
    with pytest.raises(RunError, match=r"count_tc.*context") as caught:
        objs.count_tc.run(PACKET, ctx=b"\1" + bytes(191))  # __sk_buff.len is not for the caller
    assert caught.value.errno == errno.EINVAL


def test_a_raw_tracepoint_runs_with_its_arguments(objs: Objects) -> None:
    result = objs.count_raw_tp.run(ctx=bytes(16))
    assert result.retval == 0
    assert result.data == b""
    assert objs.n_raw_tp.get() == 1


@pytest.mark.parametrize(
    ("name", "kind"), [("count_tp", "TRACEPOINT"), ("count_kprobe", "KPROBE"), ("count_perf_event", "PERF_EVENT")]
)
def test_types_that_cannot_be_run_say_so(objs: Objects, name: str, kind: str) -> None:
    with pytest.raises(NotSupportedError, match=f"{name}.*{kind}.*attach"):
        getattr(objs, name).run()


def test_syscall_programs_run_and_return(kernel: Engine) -> None:
    with Sum.load_and_assign(testdata("scalars"), engine=kernel) as objs:
        assert objs.sum.run().retval == 1105106701
        assert objs.bump.run().retval == 0
        assert objs.sum.run().retval == 3578242493  # unsigned, although it would be a negative int


def test_syscall_programs_take_a_context_and_no_packet(kernel: Engine) -> None:
    with Calls.load_and_assign(testdata("maps"), engine=kernel) as objs:
        assert objs.touch.run(ctx=b"x" * 24).ctx == b"x" * 24
        with pytest.raises(RunError, match=r"SYSCALL.*ctx="):
            objs.touch.run(PACKET)
        with pytest.raises(RunError, match="touch"):
            objs.touch.run(repeat=2)


@pytest.mark.parametrize("data", ["text", 5, None, [1, 2]])
def test_what_is_no_bytes_is_refused(objs: Objects, data: Any) -> None:
    with pytest.raises(BpfTypeError, match=r"count_xdp.*data"):
        objs.count_xdp.run(data)
    with pytest.raises(BpfTypeError, match=r"count_xdp.*ctx"):
        objs.count_xdp.run(PACKET, ctx=data)
    with pytest.raises(BpfTypeError, match=r"count_xdp.*repeat"):
        objs.count_xdp.run(PACKET, repeat="2")  # type: ignore[arg-type]


def test_programs_tell_what_they_are(objs: Objects) -> None:
    from bpfmodel import ProgType

    assert (objs.grow.name, objs.grow.section, objs.grow.type) == ("grow", "xdp", ProgType.XDP)
    assert objs.count_tp.section == "tracepoint/syscalls/sys_enter_getppid"
    assert "grow" in repr(objs.grow)
    with open(f"/proc/self/fdinfo/{objs.grow.fileno()}") as file:
        assert "prog_type:\t6\n" in file.read()


def test_packets_fill_a_map(kernel: Engine) -> None:
    class Counting(BpfObjects):
        good_map: HashMap[u32, u64]
        good: Program

    with Counting.load_and_assign(testdata("lazy"), engine=kernel) as objs:
        objs.good.run(PACKET, repeat=7)
        assert dict(objs.good_map) == {1: 7}
