"""Maps that ask to be pinned by name: a place is needed, made on bpffs, and what is there already is used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.data import testdata

from bpfmodel import ArrayMap, BpfObjects, Engine, HashMap, LoadError, LoadOptions, Program, u32, u64

pytestmark = pytest.mark.kernel


class Pinned(BpfObjects):
    pinned: HashMap[u32, u64]
    unpinned: ArrayMap[u64]
    count: Program


class OnlyUnpinned(BpfObjects):
    unpinned: ArrayMap[u64]


def load(kernel: Engine, place: Path) -> Pinned:
    return Pinned.load_and_assign(testdata("pinned"), engine=kernel, options=LoadOptions(pin_path=str(place)))


def test_without_a_place_it_is_refused_with_the_way_out(kernel: Engine) -> None:
    with pytest.raises(LoadError, match=r"pinned.*pin_path"):
        Pinned.load_and_assign(testdata("pinned"), engine=kernel)


def test_maps_that_are_not_wanted_need_no_place(kernel: Engine) -> None:
    with OnlyUnpinned.load_and_assign(testdata("pinned"), engine=kernel) as objs:
        assert list(objs.unpinned) == [0]


def test_the_map_is_pinned_and_outlives_its_object(kernel: Engine, bpffs: Path) -> None:
    with load(kernel, bpffs) as objs:
        objs.count.run(bytes(14), repeat=3)
        assert objs.pinned[1] == 3
        assert os.listdir(bpffs) == ["pinned"]
    assert os.listdir(bpffs) == ["pinned"]


def test_what_is_pinned_is_used_again_with_its_contents(kernel: Engine, bpffs: Path) -> None:
    with load(kernel, bpffs) as objs:
        objs.pinned[5] = 50
        objs.unpinned[0] = 9
    with load(kernel, bpffs) as objs, load(kernel, bpffs) as beside:
        assert dict(objs.pinned) == {5: 50}
        assert list(objs.unpinned) == [0]
        beside.count.run(bytes(14))
        assert objs.pinned[1] == 1
        objs.pinned[6] = 60
        assert beside.pinned[6] == 60


def test_the_directory_is_made_on_the_way(kernel: Engine, bpffs: Path) -> None:
    with load(kernel, bpffs / "mine") as objs:
        objs.pinned[1] = 1
    assert os.listdir(bpffs / "mine") == ["pinned"]


def test_a_pin_of_another_shape_is_refused_and_stays(kernel: Engine, bpffs: Path) -> None:
    with load(kernel, bpffs) as objs:
        objs.pinned[5] = 50
    opened = Pinned.open(testdata("pinned"))
    opened.spec.maps["pinned"].max_entries = 99
    with pytest.raises(LoadError, match="pinned"):
        opened.load(engine=kernel, options=LoadOptions(pin_path=str(bpffs)))
    with load(kernel, bpffs) as objs:
        assert dict(objs.pinned) == {5: 50}


def test_a_place_off_bpffs_says_that_it_takes_one(kernel: Engine, tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"pin_path.*bpffs.*mount"):
        load(kernel, tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_failed_load_leaves_no_pin(kernel: Engine, bpffs: Path) -> None:
    opened = Pinned.open(testdata("pinned"))
    opened.spec.maps["unpinned"].max_entries = 0
    with pytest.raises(LoadError, match="unpinned"):
        opened.load(engine=kernel, options=LoadOptions(pin_path=str(bpffs)))
    assert os.listdir(bpffs) == []
