"""The flows sample on the kernel: what it counts is what it sent, and only its picture is left behind."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from bpfmodel import CollectionSpec
from bpfmodel.engine import Engine

ROOT = Path(__file__).parent.parent.parent
SAMPLE = ROOT / "samples" / "flows" / "flows.py"
ROW = re.compile(r"^ +(\d+) +(\d+) +\d+\.\d{3} s  UDP (127\.0\.0\.\d+):\d+ > 127\.0\.0\.1:\d+$")


def run(where: Path, *arguments: str | Path, before: str = "") -> str:
    """Run the sample as a script, with temporary files in a directory of the test's own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(where)}
    code = f"import runpy, sys\n{before}\nsys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"
    start = [sys.executable, "-c", code, SAMPLE] if before else [sys.executable, SAMPLE]
    done = subprocess.run([*start, *arguments], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def around() -> tuple[object, ...]:
    """What a sample could leave on the machine: interfaces, a program on the loopback, namespaces, pins."""
    loopback = subprocess.run(["ip", "link", "show", "lo"], capture_output=True, text=True, check=True).stdout
    places = [Path("/run/netns"), Path("/sys/fs/bpf")]
    names = [sorted(os.listdir(place)) if place.is_dir() else [] for place in places]
    return socket.if_nameindex(), "xdp" in loopback, names


@pytest.mark.kernel
def test_every_packet_is_counted_and_nothing_is_left_behind(kernel: Engine, tmp_path: Path) -> None:
    temporary, pictures = tmp_path / "tmp", tmp_path / "pictures"
    temporary.mkdir()
    before = around()
    lines = run(temporary, pictures).splitlines()
    assert around() == before
    assert os.listdir(temporary) == []

    assert "\x1b" not in "".join(lines), "tables are printed over each other on terminals only"
    (total,) = [line for line in lines if line.startswith("sent and counted: ")]
    packets, size, flows = map(int, re.findall(r"\d+", total))
    assert packets > 100
    assert flows == 4
    heads = [at for at, line in enumerate(lines) if line.endswith("  flow")]
    assert len(heads) >= 2, "a live table"
    rows = [row for line in lines[heads[-1] :] if (row := ROW.match(line))]
    assert sum(int(row[1]) for row in rows) == packets
    assert sum(int(row[2]) for row in rows) == size
    assert [row[3] for row in rows] == [f"127.0.0.{number}" for number in (2, 3, 4, 5)]
    assert sum("new flow UDP" in line for line in lines) == flows

    if find_spec("matplotlib") is None:
        assert lines[-1] == "no picture, which takes matplotlib: pip install matplotlib"
        assert not pictures.exists()
        return
    assert lines[-1] == f"picture: {pictures / 'flows.png'}"
    assert os.listdir(pictures) == ["flows.png"]
    assert (pictures / "flows.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.kernel
def test_without_matplotlib_it_says_so(kernel: Engine, tmp_path: Path) -> None:
    told = run(tmp_path, before="sys.modules['matplotlib'] = None")
    assert "sent and counted: " in told
    assert told.endswith("no picture, which takes matplotlib: pip install matplotlib\n")
    assert os.listdir(tmp_path) == []


def test_where_the_kernel_cannot_serve_it_says_why(tmp_path: Path) -> None:
    # A libbpf that cannot be found is what most machines without BPF have.
    without = (
        "import ctypes\n"
        "real = ctypes.CDLL\n"
        "def without(name, *a, **k):\n"
        "    if name == 'libbpf.so.1': raise OSError('libbpf.so.1: cannot open shared object file')\n"
        "    return real(name, *a, **k)\n"
        "ctypes.CDLL = without\n"
    )
    (line,) = run(tmp_path, before=without).splitlines()
    assert line.startswith("no flows to show, since the kernel cannot serve: ")
    assert "libbpf" in line
    assert os.listdir(tmp_path) == []


def test_the_object_holds_what_the_sample_declares() -> None:
    spec = CollectionSpec.from_file(SAMPLE.with_name("flows.bpf.o"))
    assert list(spec.programs) == ["account"]
    assert {name for name, item in spec.maps.items() if not item.is_data} == {"flows", "events"}
