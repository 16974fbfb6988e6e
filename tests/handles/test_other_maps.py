"""`Map[K, V]`: kinds without a class of their own, each as far as the kernel goes with it."""

from __future__ import annotations

import mmap
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.data import testdata

from bpfmodel import (
    BpfObjects,
    BpfValueError,
    ClosedError,
    Map,
    MapError,
    MismatchError,
    NotSupportedError,
    Struct,
    s32,
    u32,
    u64,
)
from bpfmodel.engine import Engine

pytestmark = pytest.mark.kernel
SOURCE = testdata("others")


class Stats(Struct):
    packets: u64
    bytes: u64


class Objects(BpfObjects):
    of_sockets: Map[s32, Stats]
    of_inodes: Map[s32, Stats]
    of_tasks: Map[s32, Stats]
    sockets: Map[u32, u64]
    socket_hash: Map[u32, u64]
    devices: Map[u32, u32]
    device_hash: Map[u32, u32]
    cpus: Map[u32, u32]
    packet_sockets: Map[u32, u32]


@pytest.fixture
def objs(kernel: Engine) -> Iterator[Objects]:
    with Objects.load_and_assign(SOURCE, engine=kernel) as loaded:
        yield loaded


def stored(table: Map[int, Stats], owner: int) -> None:
    """Go through what storage offers; its keys are descriptors."""
    with pytest.raises(KeyError):
        table[owner]
    table[owner] = Stats(1, 2)
    table.replace(owner, Stats(3, 4))
    assert table[owner] == Stats(3, 4)
    with pytest.raises(MapError) as caught:
        table.insert(owner, Stats(5, 6))
    assert caught.value.errno == 17
    assert table.pop(owner) == Stats(3, 4)
    assert owner not in table
    with pytest.raises(KeyError):
        del table[owner]
    with pytest.raises(NotSupportedError, match=r"cannot iterate: maps of type [A-Z]+_STORAGE do not offer it"):
        list(table)


def test_storage_of_a_socket(objs: Objects) -> None:
    with socket.socket() as one, socket.socket() as other:
        stored(objs.of_sockets, one.fileno())
        of_any: Map[object, Stats] = objs.of_sockets  # type: ignore[assignment]  # whatever has a fileno() will do
        of_any[one] = Stats(7, 8)
        assert one in of_any
        assert other not in of_any


def test_storage_of_a_file_and_of_a_process(objs: Objects, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with open(tmp_path / "file") as file:
        stored(objs.of_inodes, file.fileno())
    process = os.pidfd_open(os.getpid())
    try:
        stored(objs.of_tasks, process)
    finally:
        os.close(process)


def test_storage_of_a_cgroup(kernel: Engine, tmp_path: Path) -> None:
    class Groups(BpfObjects):
        of_cgroups: Map[s32, Stats]

    subprocess.run(["mount", "-t", "cgroup2", "none", str(tmp_path)], check=True)
    try:
        with Groups.load_and_assign(SOURCE, engine=kernel) as objs:
            group = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                stored(objs.of_cgroups, group)
            finally:
                os.close(group)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_what_is_no_descriptor_of_the_kind(objs: Objects) -> None:
    with pytest.raises(MapError, match="of_sockets: cannot store: EBADF"):
        objs.of_sockets[-1] = Stats(1, 2)
    with pytest.raises(BpfValueError, match=r"devices\.value: -1 is out of range"):
        objs.devices[0] = -1
    with pytest.raises(NotSupportedError, match="packet_sockets: cannot store"), socket.socket() as plain:
        objs.packet_sockets[0] = plain.fileno()


@pytest.mark.parametrize("name", ["sockets", "socket_hash"])
def test_maps_of_connected_sockets(objs: Objects, name: str) -> None:
    table: Map[int, int] = getattr(objs, name)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as one:
        table[1] = one.fileno()
        assert table[1] == one_cookie(one)
        assert 0 not in table
        del table[1]
        assert 1 not in table


def one_cookie(one: socket.socket) -> int:
    """The number that the kernel knows a socket by."""
    return int.from_bytes(one.getsockopt(socket.SOL_SOCKET, 57, 8), "little")  # SO_COOKIE


def test_maps_of_devices_and_of_cpus(objs: Objects) -> None:
    loopback = socket.if_nametoindex("lo")
    for table in (objs.devices, objs.device_hash):
        table[2] = loopback
        assert table[2] == loopback
        del table[2]
        assert 2 not in table
        with pytest.raises(MapError):
            table[1] = 1 << 30
    objs.cpus[0] = 64
    assert objs.cpus[0] == 64
    del objs.cpus[0]
    assert objs.cpus.get(0) in (None, 0)


def test_an_array_of_cgroups_only_stores(kernel: Engine) -> None:
    class Groups(BpfObjects):
        groups: Map[u32, u32]

    with Groups.load_and_assign(SOURCE, engine=kernel) as objs:
        with pytest.raises(MapError):
            objs.groups[0] = 1 << 30
        with pytest.raises(NotSupportedError, match="groups: cannot read: maps of type CGROUP_ARRAY do not offer it"):
            objs.groups[0]


def test_an_arena_is_memory(kernel: Engine) -> None:
    class Arena(BpfObjects):
        arena: Map[Any, Any]

    with Arena.load_and_assign(SOURCE, engine=kernel) as objs:
        memory = objs.arena.memory
        assert len(memory) == 4 * mmap.PAGESIZE
        memory[-1] = 7
        assert memory[0] == 0
        assert objs.arena.memory[-1] == 7
        with pytest.raises((MapError, NotSupportedError)):
            objs.arena[0]
    with pytest.raises(ClosedError):
        _ = objs.arena.memory


def test_memory_and_close(objs: Objects) -> None:
    with pytest.raises(NotSupportedError, match="devices cannot be mapped into this process"):
        _ = objs.devices.memory
    objs.close()
    for use in (lambda: objs.devices[0], lambda: objs.devices.memory, lambda: list(objs.devices)):
        with pytest.raises(ClosedError):
            use()


def test_a_map_of_any_kind_is_checked_by_its_types() -> None:
    class Wrong(BpfObjects):
        of_sockets: Map[u32, Stats]
        devices: Map[u32, u64]

    with pytest.raises(MismatchError) as caught:
        Wrong.check(SOURCE)
    assert [finding.path for finding in caught.value.findings] == ["of_sockets.key", "devices.value"]
