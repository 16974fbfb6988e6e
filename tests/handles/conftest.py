"""What the tests of handles share: an engine that can be looked into, and Python in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Set
from pathlib import Path

import pytest

import bpfmodel
from bpfmodel import CollectionSpec, Engine, LoadOptions
from bpfmodel.engine.base import LoadedObject

ROOT = Path(bpfmodel.__file__).parent.parent


class Spy(Engine):
    """Passes everything on, and shows the bytes of a section as the engine under it has them."""

    def __init__(self, inner: Engine) -> None:
        self.name = inner.name
        self._inner = inner
        self._loaded: LoadedObject | None = None

    def load(self, spec: CollectionSpec, maps: Set[str], programs: Set[str], options: LoadOptions) -> LoadedObject:
        self._loaded = self._inner.load(spec, maps, programs, options)
        return self._loaded

    def section(self, name: str) -> bytes:
        """Return a copy of all bytes of a data section, read through the map."""
        assert self._loaded is not None
        found = self._loaded.maps[name].lookup(bytes(4))
        assert found is not None
        return found


@pytest.fixture
def spy(engine: Engine) -> Spy:
    return Spy(engine)


@pytest.fixture
def kernel_spy(kernel: Engine) -> Spy:
    return Spy(kernel)


@pytest.fixture
def run_python() -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Run code in a new Python that finds bpfmodel, and the helpers under tests/."""

    def run(code: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        return subprocess.run(
            [sys.executable, "-W", "error", "-X", "faulthandler", "-c", code],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run
