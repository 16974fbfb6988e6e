"""Many entries at once, over both engines: batches, NumPy arrays, and the way without either's system calls."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

import pytest
from handles.test_map_kinds import Objects as Kinds
from handles.test_map_kinds import Stats
from support.data import testdata

from bpfmodel import BpfTypeError, BpfValueError, Engine, HashMap, MapError, NotSupportedError, u32, u64

np: Any = pytest.importorskip("numpy", reason="NumPy is an extra, and not installed")
STATS = np.dtype([("packets", "<u8"), ("bytes", "<u8")])


class Objects(Kinds):
    big_hash: HashMap[u32, Stats]
    numbers: HashMap[u32, u64]


@pytest.fixture(params=["batches", "one by one"])
def objs(request: pytest.FixtureRequest, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Objects]:
    """The maps, with the batch operations of the engine and without them."""
    with Objects.load_and_assign(testdata("kinds"), engine=engine) as loaded:
        if request.param == "one by one":

            def refuse(*given: Any, **named: Any) -> Any:
                raise NotSupportedError("no batches here")

            for kind in {type(getattr(loaded, name)._map) for name in ("numbers", "array", "cpu_hash", "routes")}:
                for operation in ("read_batch", "write_batch", "delete_batch"):
                    assert hasattr(kind, operation)
                    monkeypatch.setattr(kind, operation, refuse)
        yield loaded


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_batches_of_any_size_hold_every_entry_once(objs: Objects, size: int) -> None:
    entries = {key: key * 3 for key in range(200)}
    objs.numbers.update_batch(entries, size=size)
    batches = list(objs.numbers.lookup_batch(size))
    assert all(batches)
    pairs = [pair for batch in batches for pair in batch]
    assert len(pairs) == 200 and dict(pairs) == entries
    if size == 1000:
        assert len(batches) == 1
    assert objs.numbers.delete_batch([0, 500, 1, 501, 502, 199, 0]) == 3
    assert set(objs.numbers) == set(range(2, 199))
    assert objs.numbers.delete_batch([]) == 0
    popped = [pair for batch in objs.numbers.pop_batch(size) for pair in batch]
    assert len(popped) == 197 and dict(popped) == {key: key * 3 for key in range(2, 199)}
    assert len(objs.numbers) == 0 and list(objs.numbers.pop_batch(size)) == []


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_batches_of_structs(objs: Objects, size: int) -> None:
    entries = {key: Stats(key, key + 1) for key in range(50)}
    objs.big_hash.update_batch(iter(entries.items()), size=size)
    assert {k: v for batch in objs.big_hash.lookup_batch(size) for k, v in batch} == entries
    assert {k: v for batch in objs.big_hash.pop_batch(size) for k, v in batch} == entries
    assert not objs.big_hash


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_batches_of_arrays_and_of_values_of_each_cpu(objs: Objects, size: int) -> None:
    cpus = objs.cpu_hash._map.cpus
    objs.array.update_batch({-1: Stats(1, 1), 2: Stats(2, 2)}, size=size)
    got = [pair for batch in objs.array.lookup_batch(size) for pair in batch]
    assert [key for key, _ in got] == list(range(8))
    assert [value.packets for _, value in got] == [0, 0, 2, 0, 0, 0, 0, 1]
    values = {key: [Stats(key, cpu) for cpu in range(cpus)] for key in range(10)}
    objs.cpu_hash.update_batch(values, size=size)
    assert {k: v for batch in objs.cpu_hash.lookup_batch(size) for k, v in batch} == values


@pytest.mark.parametrize("size", [0, -1, 1.5, None, "1"])
def test_sizes_that_are_none_are_refused(objs: Objects, size: Any) -> None:
    objs.numbers[1] = 1
    with pytest.raises(BpfValueError, match="size of a batch"):
        list(objs.numbers.lookup_batch(size))
    with pytest.raises(BpfValueError, match="size of a batch"):
        objs.numbers.update_batch({2: 2}, size=size)
    assert dict(objs.numbers) == {1: 1}


def test_ten_thousand_entries(objs: Objects, request: pytest.FixtureRequest) -> None:
    # One key after the other takes the engine in memory a walk for each, and it has batches anyway.
    count = 500 if "one by one-memory" in request.node.name else 10_000
    entries = {key: key * 7 for key in range(count)}
    objs.numbers.update(entries)
    items = list(objs.numbers.items())
    assert len(items) == len(objs.numbers) == count and dict(items) == entries
    keys, values = objs.numbers.to_numpy()
    assert len(keys) == count and dict(zip(keys.tolist(), values.tolist(), strict=True)) == entries
    objs.numbers.clear()
    assert len(objs.numbers) == 0


def test_a_batch_into_a_full_map_stores_those_before(objs: Objects) -> None:
    with pytest.raises(MapError) as caught:
        objs.hash.update_batch([(key, Stats(key, 0)) for key in range(20)])
    assert caught.value.errno == errno.E2BIG
    assert dict(objs.hash) == {key: Stats(key, 0) for key in range(16)}


@pytest.mark.parametrize("bad", [(2**32, 1), (1, 2**64), ("1", 1), (1, None), (-1, 1)])
def test_a_wrong_entry_of_a_batch_leaves_the_map_as_it_was(objs: Objects, bad: tuple[Any, Any]) -> None:
    objs.numbers[9] = 9
    with pytest.raises(BpfValueError, match="numbers"):
        objs.numbers.update_batch([(5, 5), bad, (6, 6)], size=1)
    assert dict(objs.numbers) == {9: 9}
    with pytest.raises(BpfValueError, match="numbers"):
        objs.numbers.delete_batch([9, -1])
    assert dict(objs.numbers) == {9: 9}


# NumPy


def test_numbers_to_and_from_arrays(objs: Objects) -> None:
    keys = np.arange(1000, dtype="u4")
    values = keys.astype("u8") << 40
    objs.numbers.update_numpy(keys, values)
    assert dict(objs.numbers) == {key: key << 40 for key in range(1000)}
    found, stored = objs.numbers.to_numpy()
    assert found.dtype == np.dtype("u4") and stored.dtype == np.dtype("u8")
    order = np.argsort(found)
    assert (found[order] == keys).all() and (stored[order] == values).all()
    objs.numbers.update_numpy(np.array([1, 2], "i8")[::-1], [10, 20])  # of other dtypes, not contiguous, and a list
    assert (objs.numbers[2], objs.numbers[1]) == (10, 20)
    objs.numbers.clear()
    keys, values = objs.numbers.to_numpy()
    assert len(keys) == len(values) == 0
    objs.numbers.update_numpy(np.zeros(0, "u4"), np.zeros(0, "u8"))
    assert len(objs.numbers) == 0


def test_structs_to_and_from_arrays(objs: Objects) -> None:
    values = np.zeros(5, STATS)
    values["packets"], values["bytes"] = range(5), range(10, 15)
    objs.big_hash.update_numpy(np.arange(5, dtype="u4"), values)
    assert dict(objs.big_hash) == {n: Stats(n, 10 + n) for n in range(5)}
    keys, found = objs.big_hash.to_numpy()
    assert found.dtype == STATS and sorted(found["bytes"].tolist()) == [10, 11, 12, 13, 14]
    assert (found["bytes"] == keys + 10).all()


def test_values_of_each_cpu_have_a_second_axis(objs: Objects) -> None:
    cpus = objs.cpu_hash._map.cpus
    values = np.zeros((3, cpus), STATS)
    values["packets"] = np.arange(3 * cpus).reshape(3, cpus)
    objs.cpu_hash.update_numpy(np.array([4, 5, 6], "u4"), values)
    assert [each.packets for each in objs.cpu_hash[5]] == [cpus + cpu for cpu in range(cpus)]
    keys, found = objs.cpu_hash.to_numpy()
    assert found.shape == (3, cpus) and found.dtype == STATS
    for key, row in zip(keys.tolist(), found, strict=True):
        assert (row["packets"] == values["packets"][key - 4]).all()
    objs.cpu_array.update_numpy(np.ones((4, cpus), STATS))
    assert objs.cpu_array[3].sum() == Stats(cpus, cpus)
    assert objs.cpu_array.to_numpy().shape == (4, cpus)
    for shape in ((3,), (3, cpus + 1), (3, cpus, 1), (3, 0)):
        with pytest.raises(BpfValueError, match="cpu_hash"):
            objs.cpu_hash.update_numpy(np.array([7, 8, 9], "u4"), np.zeros(shape, STATS))
    assert sorted(objs.cpu_hash) == [4, 5, 6]


def test_arrays_to_and_from_arrays(objs: Objects) -> None:
    values = np.zeros(8, STATS)
    values["packets"] = range(8)
    objs.array.update_numpy(values)
    assert list(objs.array) == [Stats(n, 0) for n in range(8)]
    copy = objs.array.to_numpy()
    assert (copy == values).all()
    copy["packets"] = 99
    assert objs.array[1] == Stats(1, 0)
    for length in (7, 9, 0):
        with pytest.raises(BpfValueError, match="array"):
            objs.array.update_numpy(np.ones(length, STATS))
    assert list(objs.array) == [Stats(n, 0) for n in range(8)]


def test_the_live_view_of_an_array(objs: Objects) -> None:
    view = objs.array.numpy()
    assert view.shape == (8,) and view.dtype == STATS
    objs.array[2] = Stats(5, 6)
    assert view[2].item() == (5, 6)
    view["bytes"][7] = 70
    assert objs.array[-1] == Stats(0, 70)
    view[:] = np.ones(8, STATS)
    assert list(objs.array) == [Stats(1, 1)] * 8
    assert len(objs.array.memory) >= 8 * 16


REFUSED: dict[str, tuple[Any, Any]] = {
    "a key too large": (np.array([1, 2**32], "u8"), np.array([1, 2], "u8")),
    "a key below 0": (np.array([1, -1]), np.array([1, 2], "u8")),
    "a value below 0": (np.array([1, 2], "u4"), np.array([1, -2])),
    "a value with a fraction": (np.array([1, 2], "u4"), np.array([1.0, 2.5])),
    "a value that is no number": (np.array([1, 2], "u4"), np.array([1.0, np.nan])),
    "a value too large for any": (np.array([1, 2], "u4"), np.array([1.0, 1e30])),
    "keys with a fraction": (np.array([1.5, 2.0]), np.array([1, 2], "u8")),
    "fewer values": (np.array([1, 2], "u4"), np.array([1], "u8")),
    "fewer keys": (np.array([1], "u4"), np.array([1, 2], "u8")),
    "values of two axes": (np.array([1, 2], "u4"), np.ones((2, 1), "u8")),
    "keys of two axes": (np.ones((2, 1), "u4"), np.array([1, 2], "u8")),
    "no axis": (np.uint32(1), np.uint64(2)),
    "structs for numbers": (np.array([1, 2], "u4"), np.ones(2, STATS)),
}


@pytest.mark.parametrize(("keys", "values"), REFUSED.values(), ids=REFUSED.keys())
def test_arrays_that_do_not_fit_are_refused_and_nothing_is_stored(objs: Objects, keys: Any, values: Any) -> None:
    objs.numbers[77] = 7
    with pytest.raises(BpfValueError, match="numbers"):
        objs.numbers.update_numpy(keys, values)
    assert dict(objs.numbers) == {77: 7}


@pytest.mark.parametrize(
    "dtype", [[("packets", "u8")], [("packets", "u8"), ("octets", "u8")], [("packets", "u4"), ("bytes", "u8")], "u8"]
)
def test_arrays_with_other_fields_are_refused(objs: Objects, dtype: Any) -> None:
    with pytest.raises(BpfTypeError, match="big_hash"):
        objs.big_hash.update_numpy(np.array([1], "u4"), np.ones(1, dtype))
    assert len(objs.big_hash) == 0
    with pytest.raises(BpfTypeError, match="array"):
        objs.array.update_numpy(np.ones(8, dtype))
    assert list(objs.array) == [Stats(0, 0)] * 8
