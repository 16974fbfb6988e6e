"""Fixtures for tests over both engines, and the rule for skipping: only with a proven reason, and never in CI."""

from __future__ import annotations

import os

import pytest

from bpfmodel import engine as engines
from bpfmodel.engine import Engine


def _kernel_or_skip() -> None:
    reason = engines.available()["kernel"]
    if not reason:
        return
    if os.environ.get("BPFMODEL_REQUIRE_KERNEL") == "1":
        pytest.fail(f"BPFMODEL_REQUIRE_KERNEL=1, and the kernel engine cannot serve: {reason}")
    pytest.skip(f"the kernel engine cannot serve: {reason}")


@pytest.fixture
def kernel() -> Engine:
    """The kernel's engine; skips with the library's own reason where it cannot serve."""
    _kernel_or_skip()
    return engines.default()


@pytest.fixture(params=["memory", pytest.param("kernel", marks=pytest.mark.kernel)])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn, for what both must do alike."""
    if request.param == "kernel":
        _kernel_or_skip()
        return engines.default()
    from bpfmodel import MemoryEngine

    return MemoryEngine()


def open_fds() -> set[str]:
    """Return what this process has open, as the targets of /proc/self/fd."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{fd}:{os.readlink(f'/proc/self/fd/{fd}')}")
        except OSError:
            pass  # the descriptor of the listing itself
    return found


@pytest.fixture
def no_leak():  # type: ignore[no-untyped-def]
    """Fail the test if it leaves a descriptor open."""
    import gc

    gc.collect()
    before = open_fds()
    yield
    gc.collect()
    leaked = {item for item in open_fds() - before if "bpf" in item or "anon_inode" in item}
    assert not leaked, f"left open: {sorted(leaked)}"
