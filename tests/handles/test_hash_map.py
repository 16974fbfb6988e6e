"""`HashMap`, over both engines: a mapping as Python knows it, with C's types."""

from __future__ import annotations

import errno
from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
from support.data import testdata

from bpfmodel import (
    BpfObjects,
    BpfTypeError,
    BpfValueError,
    Engine,
    HashMap,
    MapError,
    NotSupportedError,
    Program,
    Struct,
    u16,
    u32,
    u64,
)


class Stats(Struct):
    packets: u64
    bytes: u64


class Objects(BpfObjects):
    flows: HashMap[u32, Stats]
    sized: HashMap[u32, u64]
    hidden_def: HashMap[u64, u16]


@pytest.fixture
def objs(engine: Engine) -> Iterator[Objects]:
    with Objects.load_and_assign(testdata("maps"), engine=engine) as loaded:
        yield loaded


@pytest.fixture
def numbers(objs: Objects) -> HashMap[int, int]:
    """A map of 16 entries, u32 to u64."""
    return objs.sized


def test_a_new_map_is_empty(numbers: HashMap[int, int]) -> None:
    assert len(numbers) == 0
    assert list(numbers) == []
    assert not numbers
    assert isinstance(numbers, MutableMapping)
    assert (numbers.name, numbers.max_entries) == ("sized", 16)


def test_what_was_stored_is_found(numbers: HashMap[int, int]) -> None:
    numbers[5] = 50
    numbers[2**32 - 1] = 2**64 - 1
    assert numbers[5] == 50
    assert numbers[2**32 - 1] == 2**64 - 1
    numbers[5] = 51
    assert numbers[5] == 51
    assert len(numbers) == 2


def test_a_key_that_is_not_there_is_a_key_error(numbers: HashMap[int, int]) -> None:
    with pytest.raises(KeyError) as caught:
        numbers[7]
    assert caught.value.args == (7,)
    with pytest.raises(KeyError):
        del numbers[7]
    with pytest.raises(KeyError):
        numbers.pop(7)


def test_the_protocol_of_a_mapping(numbers: HashMap[int, int]) -> None:
    numbers.update({1: 10, 2: 20}, **{})
    numbers.update([(3, 30)])
    assert 2 in numbers and 4 not in numbers
    assert numbers.get(3) == 30 and numbers.get(4) is None and numbers.get(4, -1) == -1
    assert numbers.pop(3) == 30 and numbers.pop(3, None) is None
    assert numbers.setdefault(4, 40) == 40 and numbers.setdefault(4, 41) == 40
    assert sorted(numbers) == sorted(numbers.keys()) == [1, 2, 4]
    assert sorted(numbers.values()) == [10, 20, 40]
    assert dict(numbers.items()) == {1: 10, 2: 20, 4: 40} == dict(numbers)
    assert numbers == {1: 10, 2: 20, 4: 40}
    key, value = numbers.popitem()
    assert value == key * 10 and key not in numbers
    del numbers[next(iter(numbers))]
    assert len(numbers) == 1
    numbers.clear()
    assert len(numbers) == 0 and dict(numbers) == {}
    with pytest.raises(KeyError):
        numbers.popitem()


def test_struct_values_and_wide_keys(objs: Objects) -> None:
    objs.flows[1] = Stats(packets=3, bytes=2**63)
    objs.flows[2] = {"packets": 4, "bytes": 5}  # type: ignore[assignment]
    assert objs.flows[1] == Stats(3, 2**63)
    assert dict(objs.flows) == {1: Stats(3, 2**63), 2: Stats(4, 5)}
    objs.hidden_def[2**64 - 1] = 2**16 - 1
    assert dict(objs.hidden_def) == {2**64 - 1: 2**16 - 1}


def test_a_full_map_says_so_and_still_replaces(numbers: HashMap[int, int]) -> None:
    for key in range(16):
        numbers[key] = key
    with pytest.raises(MapError, match=r"sized.*full") as caught:
        numbers[16] = 16
    assert caught.value.errno == errno.E2BIG
    assert len(numbers) == 16 and 16 not in numbers
    numbers[3] = 33
    assert numbers[3] == 33
    del numbers[4]
    numbers[16] = 16
    assert numbers[16] == 16


@pytest.mark.parametrize("key", [2**32, -1, 2**64, -(2**32)])
def test_keys_out_of_range_are_refused_and_never_wrap(numbers: HashMap[int, int], key: int) -> None:
    numbers[0], numbers[2**32 - 1] = 1, 2
    for use in (
        lambda: numbers[key],
        lambda: numbers.__setitem__(key, 9),
        lambda: numbers.__delitem__(key),
        lambda: numbers.get(key),
        lambda: numbers.pop(key, None),
        lambda: key in numbers,
    ):
        with pytest.raises(BpfValueError, match=r"sized.*key.*0 to 4294967295"):
            use()
    assert dict(numbers) == {0: 1, 2**32 - 1: 2}


@pytest.mark.parametrize("key", ["1", 1.0, None, b"\1\0\0\0", (1,)])
def test_keys_of_a_wrong_type_are_refused(numbers: HashMap[int, int], key: Any) -> None:
    numbers[1] = 1
    for use in (lambda: numbers[key], lambda: numbers.__setitem__(key, 9), lambda: numbers.__delitem__(key)):
        with pytest.raises(BpfTypeError, match=r"sized.*key"):
            use()
    assert dict(numbers) == {1: 1}


@pytest.mark.parametrize("value", [2**64, -1, "1", None, 1.5])
def test_values_that_do_not_fit_are_refused(numbers: HashMap[int, int], value: Any) -> None:
    numbers[1] = 1
    with pytest.raises(BpfValueError, match=r"sized.*value"):
        numbers[1] = value
    with pytest.raises(BpfValueError, match=r"sized.*value"):
        numbers[2] = value
    assert dict(numbers) == {1: 1}


def test_the_member_of_a_value_that_does_not_fit_is_named(objs: Objects) -> None:
    with pytest.raises(BpfValueError, match=r"flows.*value.*packets"):
        objs.flows[1] = {"packets": 2**64, "bytes": 0}  # type: ignore[assignment]
    assert 1 not in objs.flows


def test_update_stores_nothing_where_an_entry_is_bad(numbers: HashMap[int, int]) -> None:
    with pytest.raises(BpfValueError):
        numbers.update({1: 1, 2: -1})
    assert dict(numbers) == {}


def test_deleting_while_iterating_visits_every_entry_once(numbers: HashMap[int, int]) -> None:
    for key in range(16):
        numbers[key] = key
    seen = []
    for key in numbers:
        seen.append(key)
        del numbers[key]
    assert sorted(seen) == list(range(16))
    assert len(numbers) == 0


def test_deleting_others_while_iterating_ends_and_repeats_nothing(numbers: HashMap[int, int]) -> None:
    for key in range(16):
        numbers[key] = key
    seen = []
    for key in numbers:
        seen.append(key)
        numbers.pop((key + 1) % 16, None)
    assert len(seen) == len(set(seen))
    assert set(numbers) <= set(range(16))


def test_storing_while_iterating_ends(numbers: HashMap[int, int]) -> None:
    numbers[0] = 0
    for key in numbers:
        if key < 10:
            numbers[key + 1] = 0
    assert 1 in numbers


def test_a_map_is_not_hashable_as_no_mapping_is(numbers: HashMap[int, int]) -> None:
    with pytest.raises(TypeError):
        hash(numbers)


def test_repr_names_it(numbers: HashMap[int, int]) -> None:
    assert "HashMap" in repr(numbers) and "sized" in repr(numbers)


def test_fileno(objs: Objects, engine: Engine) -> None:
    if engine.name == "memory":
        with pytest.raises(NotSupportedError, match="MemoryEngine"):
            objs.flows.fileno()
    else:
        with open(f"/proc/self/fdinfo/{objs.flows.fileno()}") as file:
            assert "max_entries:\t64\n" in file.read()


@pytest.mark.kernel
def test_the_program_and_python_share_the_map(kernel: Engine) -> None:
    class Running(Objects):
        touch: Program
        count_len: Program

    with Running.load_and_assign(testdata("maps"), engine=kernel) as objs:
        assert objs.touch.run().retval == 1
        assert objs.flows[7] == Stats(1, 100)
        objs.flows[7] = Stats(10, 1000)
        assert objs.touch.run().retval == 11
        assert objs.flows[7] == Stats(11, 1100)
        assert (objs.sized[5], objs.hidden_def[6]) == (50, 60)
        objs.count_len.run(bytes(60))
        objs.count_len.run(bytes(100))
        assert objs.flows[1] == Stats(2, 160)
        del objs.flows[7]
        assert objs.touch.run().retval == 1
