"""A load that fails after the kernel took the object removes the pins it made, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.data import testdata

from bpfmodel import BpfObjects, HashMap, LoadError, LoadOptions, u32, u64
from bpfmodel.engine import Engine
from bpfmodel.engine.kernel import KernelObject


class Objects(BpfObjects):
    pinned: HashMap[u32, u64]


@pytest.fixture
def bpffs(kernel: Engine) -> Iterator[Path]:
    path = Path("/sys/fs/bpf/bpfmodel-failed-load")
    path.mkdir()
    yield path
    for pin in path.iterdir():
        pin.unlink()
    path.rmdir()


def fail_to_load(options: LoadOptions, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load, and fail once the kernel has everything."""

    def refuse(*_: Any) -> Any:
        raise LoadError("nothing more")

    with monkeypatch.context() as patch:
        patch.setattr(KernelObject, "_take_over", refuse)
        with pytest.raises(LoadError, match="nothing more"):
            Objects.load_and_assign(testdata("pinned"), engine=engine, options=options)


@pytest.mark.kernel
@pytest.mark.usefixtures("no_leak")
def test_only_new_pins_are_removed(bpffs: Path, kernel: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    options = LoadOptions(pin_path=str(bpffs))
    fail_to_load(options, kernel, monkeypatch)
    assert list(bpffs.iterdir()) == []

    with Objects.load_and_assign(testdata("pinned"), engine=kernel, options=options) as objs:
        objs.pinned[1] = 11
    fail_to_load(options, kernel, monkeypatch)
    with Objects.load_and_assign(testdata("pinned"), engine=kernel, options=options) as objs:
        assert objs.pinned[1] == 11
