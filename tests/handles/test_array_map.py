"""`ArrayMap`, over both engines: a sequence of fixed length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from support.data import testdata

from bpfmodel import ArrayMap, BpfObjects, BpfTypeError, BpfValueError, Engine, Program, u32, u64


class Objects(BpfObjects):
    counters: ArrayMap[u64]


class Spare(BpfObjects):
    spare_map: ArrayMap[u32]


@pytest.fixture
def counters(engine: Engine) -> Iterator[ArrayMap[int]]:
    with Objects.load_and_assign(testdata("maps"), engine=engine) as objs:
        yield objs.counters


def test_every_element_exists_and_is_zero(counters: ArrayMap[int]) -> None:
    assert len(counters) == counters.max_entries == 8
    assert list(counters) == [0] * 8
    assert counters.name == "counters"


def test_what_was_stored_is_found(counters: ArrayMap[int]) -> None:
    counters[0], counters[3], counters[7] = 1, 2**64 - 1, 9
    assert (counters[0], counters[3], counters[7]) == (1, 2**64 - 1, 9)
    assert list(counters) == [1, 0, 0, 2**64 - 1, 0, 0, 0, 9]


def test_negative_indexes_count_from_the_end(counters: ArrayMap[int]) -> None:
    counters[-1] = 7
    counters[-8] = 1
    assert (counters[7], counters[0]) == (7, 1)
    assert (counters[-1], counters[-8]) == (7, 1)


@pytest.mark.parametrize("index", [8, -9, 2**32, 2**32 + 1, -(2**32), 2**64, 2**64 + 3])
def test_indexes_beyond_the_ends_are_index_errors_and_never_wrap(counters: ArrayMap[int], index: int) -> None:
    with pytest.raises(IndexError, match=r"counters.*8"):
        counters[index]
    with pytest.raises(IndexError, match=r"counters.*8"):
        counters[index] = 5
    assert list(counters) == [0] * 8


@pytest.mark.parametrize("index", ["0", 0.0, None, b"\0\0\0\0"])
def test_indexes_of_a_wrong_type_are_refused(counters: ArrayMap[int], index: Any) -> None:
    with pytest.raises(BpfTypeError, match="counters"):
        counters[index]
    with pytest.raises(BpfTypeError, match="counters"):
        counters[index] = 5
    assert list(counters) == [0] * 8


@pytest.mark.parametrize("value", [2**64, -1, "1", None, 0.5])
def test_values_that_do_not_fit_are_refused(counters: ArrayMap[int], value: Any) -> None:
    counters[2] = 22
    with pytest.raises(BpfValueError, match=r"counters.*value"):
        counters[2] = value
    assert counters[2] == 22


def test_elements_cannot_be_removed(counters: ArrayMap[int]) -> None:
    with pytest.raises((TypeError, AttributeError)):
        del counters[0]  # type: ignore[attr-defined]


def test_it_can_be_searched_and_reversed_as_sequences_can(counters: ArrayMap[int]) -> None:
    counters[1] = 5
    assert 5 in counters and 6 not in counters
    assert list(reversed(counters)) == [0] * 6 + [5, 0]  # type: ignore[call-overload]


def test_elements_narrower_than_a_slot(engine: Engine) -> None:
    with Spare.load_and_assign(testdata("lazy"), engine=engine) as objs:
        for index in range(4):
            objs.spare_map[index] = 2**32 - 1 - index
        assert list(objs.spare_map) == [2**32 - 1, 2**32 - 2, 2**32 - 3, 2**32 - 4]


def test_a_resized_array_has_its_new_length(engine: Engine) -> None:
    opened = Objects.open(testdata("maps"))
    opened.spec.maps["counters"].max_entries = 3000
    with opened.load(engine=engine) as objs:
        assert len(objs.counters) == 3000
        objs.counters[2999] = 4
        assert objs.counters[-1] == 4
        with pytest.raises(IndexError):
            objs.counters[3000]


@pytest.mark.kernel
def test_the_program_and_python_share_the_array(kernel: Engine) -> None:
    class Running(Objects):
        touch: Program

    with Running.load_and_assign(testdata("maps"), engine=kernel) as objs:
        objs.counters[3] = 41
        objs.touch.run()
        assert list(objs.counters) == [0, 0, 0, 42, 0, 0, 0, 0]


def test_a_slice_is_read_as_a_list_and_cannot_be_set(counters: ArrayMap[int]) -> None:
    counters[1] = 11
    counters[3] = 33
    assert counters[1:4] == [11, 0, 33]
    assert counters[::-1][4] == 33
    assert counters[8:] == []
    with pytest.raises(BpfTypeError):
        counters[0:2] = [1, 2]  # type: ignore[index]
    assert isinstance(counters, Sequence)
    assert counters.index(33) == 3
