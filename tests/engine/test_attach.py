"""Attaching by section, and XDP on interfaces of a private network, both seen by what really happens."""

from __future__ import annotations

import errno
import gc
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.data import testdata
from support.netns import frame, private_network, send_frames

from bpfmodel import (
    XDP,
    AttachError,
    BpfModelError,
    BpfObjects,
    BpfValueError,
    Const,
    Engine,
    Link,
    Program,
    Var,
    u32,
    u64,
)

pytestmark = pytest.mark.kernel


class Objects(BpfObjects):
    target_pid: Const[u32]
    n_raw_tp: Var[u64]
    n_tp: Var[u64]
    n_xdp: Var[u64]
    n_xdp_off: Var[u64]
    n_mangle: Var[u64]
    count_raw_tp: Program
    count_tp: Program
    count_xdp: Program[XDP]
    count_xdp_off: Program[XDP]
    mangle: Program
    count_socket: Program
    count_tc: Program
    count_kprobe: Program
    count_perf_event: Program


@pytest.fixture
def objs(kernel: Engine) -> Iterator[Objects]:
    constants = {"target_pid": os.getpid()}
    with Objects.load_and_assign(testdata("attach"), constants=constants, engine=kernel) as loaded:
        yield loaded


@pytest.fixture
def network(kernel: Engine) -> Iterator[None]:
    with private_network():
        yield


def counted(variable: Var[int], expected: int) -> int:
    """Return a count once it is as expected; packets may still be on their way to the program."""
    for _ in range(100):
        if variable.get() >= expected:
            break
        time.sleep(0.01)
    return variable.get()


def test_a_tracepoint_counts_while_it_is_attached(objs: Objects) -> None:
    os.getppid()
    with objs.count_tp.attach() as link:
        assert isinstance(link, Link) and not link.closed and link.name == "count_tp"
        for _ in range(5):
            os.getppid()
    assert link.closed
    os.getppid()
    assert objs.n_tp.get() == 5


def test_a_raw_tracepoint_counts_while_it_is_attached(objs: Objects) -> None:
    with objs.count_raw_tp.attach():
        for _ in range(50):
            os.getppid()
    counted = objs.n_raw_tp.get()
    assert counted >= 50
    os.getppid()
    assert objs.n_raw_tp.get() == counted


def test_two_attachments_of_one_program_both_count(objs: Objects) -> None:
    with objs.count_raw_tp.attach(), objs.count_raw_tp.attach():
        os.getppid()
    assert objs.n_raw_tp.get() >= 2


def test_closing_the_object_ends_its_attachments(kernel: Engine) -> None:
    constants = {"target_pid": os.getpid()}
    objs = Objects.load_and_assign(testdata("attach"), constants=constants, engine=kernel)
    link, memory = objs.count_tp.attach(), objs.n_tp.memory[:]
    os.getppid()
    objs.close()
    os.getppid()
    assert link.closed
    assert memory[0] == 1


def test_a_link_that_is_dropped_warns_and_detaches(objs: Objects) -> None:
    link = objs.count_tp.attach()
    with pytest.warns(ResourceWarning, match=r"count_tp.*keep what attach"):
        del link
    os.getppid()
    assert objs.n_tp.get() == 0


def test_a_link_that_was_closed_does_not_warn(objs: Objects, recwarn: pytest.WarningsRecorder) -> None:
    link = objs.count_tp.attach()
    link.close()
    del link
    gc.collect()
    assert not recwarn.list


def test_a_raw_tracepoint_can_only_be_closed(objs: Objects) -> None:
    with objs.count_raw_tp.attach() as link:
        with pytest.raises(AttachError, match=r"count_raw_tp.*detached"):
            link.detach()
        os.getppid()
        assert objs.n_raw_tp.get() >= 1


def test_a_pinned_attachment_outlives_its_object(kernel: Engine, bpffs: Path) -> None:
    constants = {"target_pid": os.getpid()}
    with Objects.load_and_assign(testdata("attach"), constants=constants, engine=kernel) as objs:
        memory = objs.n_tp.memory[:]
        objs.count_tp.attach().pin(bpffs / "link")
        gc.collect()  # no warning: a pin keeps it
    os.getppid()
    assert memory[0] == 1
    os.unlink(bpffs / "link")
    for _ in range(200):  # the kernel detaches a moment later
        before = memory[0]
        os.getppid()
        if memory[0] == before:
            break
        time.sleep(0.01)
    assert memory[0] == before


@pytest.mark.parametrize("name", ["count_tp", "count_xdp"])
def test_a_pin_off_bpffs_says_where_it_goes(objs: Objects, network: None, tmp_path: Path, name: str) -> None:
    program = getattr(objs, name)
    link = program.attach_xdp("lo") if name == "count_xdp" else program.attach()
    with link, pytest.raises(AttachError, match=f"{name}.*bpffs"):
        link.pin(tmp_path / "link")


@pytest.mark.parametrize("name", ["count_socket", "count_tc", "count_perf_event", "count_xdp"])
def test_a_section_that_names_no_place_says_so(objs: Objects, name: str) -> None:
    with pytest.raises(AttachError) as caught:
        getattr(objs, name).attach()
    assert name in str(caught.value)
    assert "does not say where to attach" in str(caught.value)


def test_xdp_points_to_attach_xdp(objs: Objects) -> None:
    with pytest.raises(AttachError, match=r"attach_xdp\("):
        objs.count_xdp.attach()


def test_a_kprobe_that_cannot_be_attached_says_why(objs: Objects) -> None:
    # This project's machine has no kprobes; where there are some, it attaches.
    try:
        objs.count_kprobe.attach().close()
    except AttachError as error:
        told = str(error)
    else:
        return
    assert "count_kprobe" in told and "kprobe/do_nanosleep" in told


# XDP.


def test_every_packet_on_an_interface_is_counted(objs: Objects, network: None) -> None:
    with objs.count_xdp.attach_xdp("left0"):
        send_frames("right0", [frame(number) for number in range(10)])
        send_frames("left0", [frame()])  # the other direction
        assert counted(objs.n_xdp, 10) == 10
    send_frames("right0", [frame()])
    assert objs.n_xdp.get() == 10


@pytest.mark.parametrize("mode", ["auto", "generic", "native"])
def test_each_mode_that_the_driver_has(objs: Objects, network: None, mode: Any) -> None:
    with objs.count_xdp.attach_xdp("left0", mode=mode):
        send_frames("right0", [frame()] * 3)
        assert counted(objs.n_xdp, 3) == 3


def test_loopback_by_its_index(objs: Objects, network: None) -> None:
    with objs.count_xdp.attach_xdp(socket.if_nametoindex("lo")), socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        for _ in range(4):
            receiver.sendto(b"hello", receiver.getsockname())
            assert receiver.recv(10) == b"hello"
    assert objs.n_xdp.get() == 4


def test_a_program_that_drops_drops(objs: Objects, network: None) -> None:
    with objs.count_xdp_off.attach_xdp("lo", mode="generic"), socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        receiver.sendto(b"hello", receiver.getsockname())
        with pytest.raises(BlockingIOError):
            receiver.recv(10)
    assert counted(objs.n_xdp_off, 1) == 1


def test_a_busy_interface_says_so(objs: Objects, network: None) -> None:
    with objs.count_xdp.attach_xdp("left0"):
        with pytest.raises(AttachError, match=r"mangle.*another XDP program") as caught:
            objs.mangle.attach_xdp("left0")
        assert caught.value.errno == errno.EBUSY
    objs.mangle.attach_xdp("left0").close()


def test_update_swaps_the_program(objs: Objects, network: None) -> None:
    with objs.count_xdp.attach_xdp("left0") as link:
        send_frames("right0", [frame()])
        assert counted(objs.n_xdp, 1) == 1
        link.update(objs.mangle)
        send_frames("right0", [frame()] * 2)
        assert counted(objs.n_mangle, 2) == 2
        assert objs.n_xdp.get() == 1


def test_update_refuses_other_types_and_keeps_the_first(objs: Objects, network: None) -> None:
    with objs.count_xdp.attach_xdp("left0") as link:
        with pytest.raises(AttachError, match="count_tc"):
            link.update(objs.count_tc)
        with pytest.raises(TypeError):
            link.update("mangle")
        send_frames("right0", [frame()])
        assert counted(objs.n_xdp, 1) == 1


def test_detach_frees_the_interface_and_the_link_stays_closable(objs: Objects, network: None) -> None:
    with objs.count_xdp.attach_xdp("left0") as link:
        link.detach()
        send_frames("right0", [frame()])
        assert objs.n_xdp.get() == 0
        objs.mangle.attach_xdp("left0").close()


def test_a_pinned_xdp_link_outlives_the_object(kernel: Engine, network: None, bpffs: Path) -> None:
    with Objects.load_and_assign(testdata("attach"), engine=kernel) as objs:
        memory = objs.n_xdp.memory[:]
        with objs.count_xdp.attach_xdp("left0") as link:
            link.pin(str(bpffs / "xdp"))
    send_frames("right0", [frame()])
    for _ in range(100):
        if memory[0]:
            break
        time.sleep(0.01)
    assert memory[0] == 1
    os.unlink(bpffs / "xdp")


def test_a_wrong_name_lists_the_interfaces(objs: Objects, network: None) -> None:
    with pytest.raises(AttachError, match=r"count_xdp.*'wlan7'.*left0") as caught:
        objs.count_xdp.attach_xdp("wlan7")
    assert caught.value.errno == errno.ENODEV


def test_a_wrong_index_is_told(objs: Objects, network: None) -> None:
    for index in (99999, 0, -1):
        with pytest.raises(AttachError, match=f"interface {index}"):
            objs.count_xdp.attach_xdp(index)


@pytest.mark.parametrize("above", [2**32, 2**33, 2**64])
def test_an_index_out_of_range_never_wraps_to_a_real_one(objs: Objects, network: None, above: int) -> None:
    with pytest.raises(BpfModelError):
        objs.count_xdp.attach_xdp(socket.if_nametoindex("left0") + above).close()


@pytest.mark.parametrize("interface", [None, 1.5, b"lo", "", "lo\0", "x" * 100])
def test_what_is_no_interface_is_refused(objs: Objects, network: None, interface: Any) -> None:
    with pytest.raises(BpfModelError, match="count_xdp"):
        objs.count_xdp.attach_xdp(interface).close()


def test_a_mode_that_does_not_exist_lists_those_that_do(objs: Objects, network: None) -> None:
    with pytest.raises(BpfValueError, match="auto, generic, native, offload"):
        objs.count_xdp.attach_xdp("lo", mode="fast")  # type: ignore[arg-type]


def test_a_driver_without_native_xdp_points_to_generic(objs: Objects, network: None) -> None:
    with pytest.raises(AttachError, match='mode="generic"'):
        objs.count_xdp.attach_xdp("lo", mode="native")


def test_other_programs_are_no_xdp(objs: Objects, network: None) -> None:
    with pytest.raises(AttachError, match=r"count_tc.*no XDP program"):
        objs.count_tc.attach_xdp("lo")
