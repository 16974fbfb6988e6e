"""A private network for a test: a namespace of its own with loopback and a pair of interfaces, gone afterwards."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_libc = ctypes.CDLL(None, use_errno=True)


def _done(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


@contextlib.contextmanager
def private_network() -> Iterator[None]:
    """Move this thread into a new network namespace, where ``lo``, ``left0`` and ``right0`` are up, and back."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _done(_libc.unshare(_NEW_NETWORK), "unshare")
        try:
            # No neighbour discovery: the only packets are those that a test sends.
            with open("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w") as file:
                file.write("1")
            for command in (
                "ip link set lo up",
                "ip link add left0 type veth peer name right0",
                "ip link set left0 up",
                "ip link set right0 up",
            ):
                subprocess.run(command.split(), check=True)
            yield
        finally:
            _done(_libc.setns(home, _NEW_NETWORK), "setns")
    finally:
        os.close(home)


def send_frames(interface: str, frames: list[bytes]) -> None:
    """Put whole Ethernet frames on an interface."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((interface, 0))
        for frame in frames:
            sock.send(frame)


def frame(number: int = 0, length: int = 60) -> bytes:
    """Make an Ethernet frame of an experimental type that no protocol listens to."""
    return b"\x02\0\0\0\0\2" + b"\x02\0\0\0\0\1" + b"\x88\xb5" + bytes([number]) * (length - 14)
