"""Real traffic, flow by flow: counted by an XDP program, announced by a ring buffer, shown live and drawn as a picture.

Run it as root on Linux with libbpf. It sends UDP datagrams to itself for two seconds, in a network namespace of its own that
ends with it. ``flows.py DIRECTORY`` says where flows.png goes, else a new temporary directory. The picture takes matplotlib.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from enum import IntEnum
from importlib import import_module
from ipaddress import IPv4Address
from pathlib import Path

from bpfmodel import XDP, BpfObjects, HashMap, Program, RingBuf, Struct, Var, engine, u16, u32, u64

OBJECT = Path(__file__).with_name("flows.bpf.o")
SECONDS = 2.0
SAMPLE = 0.1  # seconds between two points of the picture
TABLE = 0.5  # seconds between two tables
HEADERS = 14 + 20 + 8  # bytes before the data of a datagram: Ethernet, IPv4, UDP

# What the flows send: bytes of data in each datagram, and datagrams a second at a time of the run.
PACES: list[tuple[int, Callable[[float], float]]] = [
    (18, lambda at: 150),
    (100, lambda at: 200 * at),  # faster and faster
    (400, lambda at: 500 if at % 0.8 < 0.3 else 0),  # in bursts
    (1000, lambda at: 350 if at > 1 else 0),  # late
]


class Protocol(IntEnum):
    TCP = 6
    UDP = 17


class FlowKey(Struct, frozen=True):
    saddr: u32
    daddr: u32
    sport: u16
    dport: u16
    proto: Protocol

    def __str__(self) -> str:
        source, target = IPv4Address(self.saddr), IPv4Address(self.daddr)
        return f"{self.proto.name} {source}:{self.sport} > {target}:{self.dport}"


class FlowStats(Struct):
    packets: u64
    bytes: u64
    last_seen: u64


class FlowEvent(Struct, name="flow_event"):
    flow: FlowKey
    length: u32
    first_seen: u64


class Objects(BpfObjects):
    flows: HashMap[FlowKey, FlowStats]
    events: RingBuf[FlowEvent]
    missed: Var[u64]
    account: Program[XDP]


Totals = dict[FlowKey, tuple[int, int]]  # packets and bytes of each flow
History = list[tuple[float, Totals]]  # the same, at seconds of the run


def main(directory: Path | None) -> None:
    Objects.check(OBJECT)
    reason = engine.available()["kernel"]
    if reason:
        print(f"no flows to show, since the kernel cannot serve: {reason}")
        return
    with Objects.load_and_assign(OBJECT) as objs:
        enter_private_network()
        with objs.account.attach_xdp("lo", mode="generic"), ThreadPoolExecutor(1) as pool:
            start = time.monotonic_ns()
            traffic = pool.submit(send)
            history, announced = watch(objs, start, traffic.done)
            sent = traffic.result()
        assert objs.missed.get() == 0
        assert totals(objs) == sent, "each packet and each byte is counted in its flow"
        assert sorted(announced, key=str) == sorted(sent, key=str), "each flow is announced once"
        assert all(start < stats.last_seen < time.monotonic_ns() for stats in objs.flows.values())
    packets, size = (sum(numbers) for numbers in zip(*sent.values(), strict=True))
    print(f"sent and counted: {packets} packets, {size} bytes, {len(sent)} flows")
    draw(history, directory)


def watch(objs: Objects, start: int, done: Callable[[], bool]) -> tuple[History, list[FlowKey]]:
    """Print events as they come, and a table now and then, until the traffic is done and all of it is read."""
    history: History = [(0.0, {})]
    announced: list[FlowKey] = []
    table = Table()
    due = TABLE
    last = False
    while not last:
        last = done()  # asked before reading: what was sent until then is in the map and the ring
        for event in objs.events.poll(0 if last else SAMPLE):  # it ends when no event comes for that long
            announced.append(event.flow)
            table.above(f"{(event.first_seen - start) / 1e9:5.2f} s  new flow {event.flow}, {event.length} bytes")
        now = (time.monotonic_ns() - start) / 1e9
        history.append((now, totals(objs)))
        if last or due <= now < SECONDS:
            table.show(now, objs, start)
            due += TABLE
    return history, announced


def totals(objs: Objects) -> Totals:
    return {key: (stats.packets, stats.bytes) for key, stats in objs.flows.items()}


class Table:
    """Printed over the last one on a terminal, and below it elsewhere."""

    def __init__(self) -> None:
        self.height = 0

    def above(self, line: str) -> None:
        self.clear()
        print(line, flush=True)

    def show(self, now: float, objs: Objects, start: int) -> None:
        lines = [f"{now:5.2f} s  {'packets':>9} {'bytes':>9} {'last seen':>10}  flow"]
        for key, stats in sorted(objs.flows.items(), key=lambda item: str(item[0])):
            seen = f"{(stats.last_seen - start) / 1e9:.3f} s"
            lines.append(f"{'':7}  {stats.packets:9} {stats.bytes:9} {seen:>10}  {key}")
        self.clear()
        print("\n".join(lines), flush=True)
        self.height = len(lines)

    def clear(self) -> None:
        if self.height and sys.stdout.isatty():
            print(f"\x1b[{self.height}A\x1b[J", end="")  # up, and erase from there on
        self.height = 0


def enter_private_network() -> None:
    """Leave the machine's network for an empty one of this process alone, and bring its loopback up."""
    import fcntl  # Linux only, as is all of this function

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000):  # CLONE_NEWNET; os.unshare has it from Python 3.12 on
        raise OSError(ctypes.get_errno(), "cannot make a private network namespace")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH14x", b"lo", 0x1 | 0x40)  # IFF_UP, IFF_RUNNING
        fcntl.ioctl(control, 0x8914, request)  # SIOCSIFFLAGS


def send() -> Totals:
    """Send each flow's datagrams at its pace, and return how much was sent."""
    with ExitStack() as stack:
        flows = [stack.enter_context(Flow(number, size)) for number, (size, _) in enumerate(PACES)]
        owed = [0.0] * len(flows)
        begin = before = time.monotonic()
        while before - begin < SECONDS:
            time.sleep(0.005)
            now = time.monotonic()
            for number, (_, pace) in enumerate(PACES):
                owed[number] += pace(now - begin) * (now - before)
                while owed[number] >= 1:
                    flows[number].send()
                    owed[number] -= 1
            before = now
        return {flow.key: (flow.packets, flow.packets * (HEADERS + flow.size)) for flow in flows if flow.packets}


class Flow:
    """Two sockets on the loopback, which has all addresses of 127.0.0.0/8: one sends, the other receives."""

    def __init__(self, number: int, size: int) -> None:
        source, target = (f"127.0.0.{number + 2}", 40001 + number), ("127.0.0.1", 9001 + number)
        saddr, daddr = int(IPv4Address(source[0])), int(IPv4Address(target[0]))
        self.key = FlowKey(saddr, daddr, source[1], target[1], Protocol.UDP)
        self.size, self.packets = size, 0
        self.sender, self.receiver = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        self.sender.bind(source)
        self.receiver.bind(target)
        self.sender.connect(target)
        self.receiver.settimeout(5)

    def send(self) -> None:
        self.sender.send(bytes(self.size))
        self.receiver.recv(self.size)  # so that none is on its way when the counts are compared
        self.packets += 1

    def __enter__(self) -> Flow:
        return self

    def __exit__(self, *raised: object) -> None:
        self.sender.close()
        self.receiver.close()


def draw(history: History, directory: Path | None) -> None:
    """Save the packets of each flow over time as flows.png."""
    try:
        figure = import_module("matplotlib.figure").Figure(figsize=(9, 5), layout="constrained")
    except ImportError:
        print("no picture, which takes matplotlib: pip install matplotlib")
        return
    axes = figure.subplots()
    for flow in sorted(history[-1][1], key=str):
        counts = [counted.get(flow, (0, 0))[0] for _, counted in history]
        axes.plot([at for at, _ in history], counts, marker=".", label=str(flow))
    axes.set(title="Packets of each flow", xlabel="seconds", ylabel="packets so far", xlim=(0, None), ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    directory = directory or Path(tempfile.mkdtemp(prefix="bpfmodel-flows-"))
    directory.mkdir(parents=True, exist_ok=True)
    figure.savefig(directory / "flows.png", dpi=120)
    print(f"picture: {directory / 'flows.png'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else None)
