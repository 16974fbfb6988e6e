"""What the tests of engines share: a look at what the kernel holds, a bpffs of their own, Python in another process."""

from __future__ import annotations

import ctypes
import gc
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import bpfmodel

ROOT = Path(bpfmodel.__file__).parent.parent

_PROG_GET_NEXT_ID, _MAP_GET_NEXT_ID, _PROG_BY_ID, _MAP_BY_ID, _INFO = 11, 12, 13, 14, 15
_libc = ctypes.CDLL(None, use_errno=True)


def _bpf(command: int, attr: ctypes.Array[ctypes.c_char]) -> int:
    return int(_libc.syscall(321 if os.uname().machine == "x86_64" else 280, command, attr, len(attr)))


def _names(next_id: int, open_by_id: int, name_at: int) -> list[str]:
    """List the names of all maps or programs in the kernel; the kernel cuts them to 15 characters."""
    found, current = [], 0
    while True:
        attr = ctypes.create_string_buffer(struct.pack("=III", current, 0, 0), 12)
        if _bpf(next_id, attr):
            return found
        current = struct.unpack_from("=I", attr.raw, 4)[0]
        fd = _bpf(open_by_id, ctypes.create_string_buffer(struct.pack("=III", current, 0, 0), 12))
        if fd < 0:
            continue  # gone meanwhile
        info = ctypes.create_string_buffer(256)
        _bpf(_INFO, ctypes.create_string_buffer(struct.pack("=IIQ", fd, len(info), ctypes.addressof(info)), 16))
        os.close(fd)
        found.append(info.raw[name_at : name_at + 16].rstrip(b"\0").decode())


def _in_kernel(part: str) -> list[str]:
    names = _names(_MAP_GET_NEXT_ID, _MAP_BY_ID, 24) + _names(_PROG_GET_NEXT_ID, _PROG_BY_ID, 64)
    return sorted(name for name in names if part in name)


@pytest.fixture
def in_kernel(kernel: object) -> Callable[[str], list[str]]:
    """List the maps and programs in the kernel whose names contain a text."""
    return _in_kernel


@pytest.fixture
def gone_from_kernel(kernel: object) -> Callable[[str], bool]:
    """Tell whether no map and no program has a name with this text, giving the kernel a moment to free them."""

    def gone(part: str) -> bool:
        for _ in range(200):
            if not _in_kernel(part):
                return True
            time.sleep(0.01)
        return False

    return gone


@pytest.fixture
def held() -> Callable[[], int]:
    """Count the descriptors of this process, without those that only garbage holds, such as a failed test's."""

    def count() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    return count


@pytest.fixture
def bpffs(kernel: object, tmp_path: Path) -> Iterator[Path]:
    """A bpffs that nobody else sees things in; unmounting it frees all that was pinned there."""
    subprocess.run(["mount", "-t", "bpf", "bpf", str(tmp_path)], check=True)
    try:
        (tmp_path / "own").mkdir()  # the root has files of the kernel's
        yield tmp_path / "own"
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


@pytest.fixture
def run_python() -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Run code in a new Python that finds bpfmodel, and the helpers under tests/."""

    def run(code: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run
