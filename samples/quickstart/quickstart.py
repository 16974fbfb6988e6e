"""The main job, end to end: declare, check, rewrite a constant, load, run on real packets, read and write live memory.

Run it as root on Linux with libbpf for the real thing; anywhere else it shows what the memory engine can.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal as L

from bpfmodel import (
    XDP,
    BpfObjects,
    Const,
    CString,
    Engine,
    HashMap,
    MemoryEngine,
    Program,
    Struct,
    Var,
    engine,
    u32,
    u64,
)

OBJECT = Path(__file__).with_name("quickstart.bpf.o")


class Stats(Struct):
    packets: u64
    bytes: u64


class Objects(BpfObjects):
    pkt_count: Var[u64]
    ro_variable: Const[u32]
    var_msg: Var[CString[L[13]]]
    flows: HashMap[u32, Stats]
    count_packets: Program[XDP]


def main() -> None:
    Objects.check(OBJECT)
    print("check: the class matches the object, member by member; nothing was loaded for that")

    reason = engine.available()["kernel"]
    if reason:
        print(f"load: into memory, not into the kernel, which cannot serve: {reason}")
    chosen: Engine | None = MemoryEngine() if reason else None
    with Objects.load_and_assign(OBJECT, constants={"ro_variable": 1000}, engine=chosen) as objs:
        show("before", objs)
        if reason:
            objs.pkt_count.set(objs.pkt_count.get() + objs.ro_variable.get())
            objs.flows[wire(IPv4Address("192.0.2.1"))] = Stats(packets=1, bytes=60)
            show("after writing each handle from Python (programs run in the kernel only)", objs)
            return
        for source in ("192.0.2.1", "192.0.2.1", "198.51.100.7"):
            result = objs.count_packets.run(packet(IPv4Address(source)))
            print(f"run: a packet from {source} -> XDP_PASS" if result.retval == 2 else f"run: {result}")
        show("after three packets through Program.run", objs)

        objs.pkt_count.set(0)
        objs.var_msg.set("Hello again!")
        objs.flows.clear()
        show("after writing from Python", objs)

        enter_private_network()
        with objs.count_packets.attach_xdp("lo", mode="generic"):
            send(5)
        show("after five real packets over the loopback of a private network namespace", objs)


def show(when: str, objs: Objects) -> None:
    print(f"\n{when}:")
    print(f"  pkt_count    {objs.pkt_count.get()}")
    print(f"  ro_variable  {objs.ro_variable.get()}")
    print(f"  var_msg      {objs.var_msg.get()!r}")
    for key, stats in objs.flows.items():
        print(f"  flow from    {IPv4Address(key.to_bytes(4, sys.byteorder))}: {stats}")
    if not objs.flows:
        print("  no flow yet")


def wire(address: IPv4Address) -> int:
    """Return an address as the program keys it: the bytes of the wire, read as a number of this machine."""
    return int.from_bytes(address.packed, sys.byteorder)


def packet(source: IPv4Address) -> bytes:
    """Make an Ethernet frame with an IPv4 header from `source`, and 26 bytes behind it."""
    ethernet = bytes(12) + struct.pack("!H", 0x0800)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 46, 0, 0, 64, 17, 0) + source.packed + IPv4Address("192.0.2.254").packed
    return ethernet + ip + bytes(26)


def enter_private_network() -> None:
    """Leave the machine's network for an empty one of this process alone, and bring its loopback up."""
    import fcntl  # Linux only, as is all of this function

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000):  # CLONE_NEWNET; os.unshare has it from Python 3.12 on
        raise OSError(ctypes.get_errno(), "cannot make a private network namespace")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0x1 | 0x40)  # IFF_UP, IFF_RUNNING
        fcntl.ioctl(control, 0x8914, request)  # SIOCSIFFLAGS


def send(count: int) -> None:
    """Send UDP datagrams to ourselves and wait until each has come through."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number in range(count):
                sender.sendto(b"packet %d" % number, receiver.getsockname())
                receiver.recv(64)


if __name__ == "__main__":
    print(f"bpfmodel quickstart, process {os.getpid()}")
    main()
