"""Values that do not fit are refused with a reason, and not one byte of the section changes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any
from typing import Literal as L

import pytest
from support.data import testdata

from bpfmodel import (
    Array,
    BpfObjects,
    BpfTypeError,
    BpfValueError,
    Bytes,
    CString,
    MapFlag,
    Struct,
    Var,
    boolean,
    f32,
    f64,
    pointer,
    s8,
    s64,
    s128,
    u8,
    u16,
    u32,
    u64,
    u128,
)


class Stats(Struct):
    packets: u64
    bytes: u64
    drops: u32
    mode: u8


class Objects(BpfObjects):
    u8_var: Var[u8]
    u16_var: Var[u16]
    u32_var: Var[u32]
    u64_var: Var[u64]
    u128_var: Var[u128]
    s8_var: Var[s8]
    s64_var: Var[s64]
    s128_var: Var[s128]
    bool_var: Var[boolean]
    float_var: Var[f32]
    double_var: Var[f64]
    msg: Var[CString[L[13]]]
    mac: Var[Bytes[L[6]]]
    arr: Var[Array[u32, L[4]]]
    matrix: Var[Array[Array[u64, L[3]], L[2]]]
    flags: Var[Array[boolean, L[3]]]
    stats: Var[Stats]
    ptr_var: Var[pointer]
    mode_var: Var[int]


def changed(**members: Any) -> Stats:
    """Make a Stats that its own constructor would refuse."""
    value = Stats(1, 2, 3, 4)
    for name, member in members.items():
        setattr(value, name, member)
    return value


# The variable, the value, and what the message must say besides the variable's name.
OUT_OF_RANGE: list[tuple[str, Any, str]] = [
    ("u8_var", 256, "0 to 255"),
    ("u8_var", -1, "0 to 255"),
    ("u16_var", 65536, "0 to 65535"),
    ("u32_var", 2**32, "0 to 4294967295"),
    ("u64_var", 2**64, "0 to 18446744073709551615"),
    ("u64_var", -1, "0 to 18446744073709551615"),
    ("u128_var", 2**128, "unsigned __int128|u128"),
    ("u128_var", -1, "unsigned __int128|u128"),
    ("s8_var", 128, "-128 to 127"),
    ("s8_var", -129, "-128 to 127"),
    ("s64_var", 2**63, "-9223372036854775808 to 9223372036854775807"),
    ("s128_var", 2**127, "s128|__int128"),
    ("ptr_var", 2**64, "0 to 18446744073709551615"),
    ("mode_var", 2**32, "0 to 4294967295"),
    ("float_var", 1e39, "f32|float"),
    ("double_var", 10**400, "f64|double"),
    ("msg", "fourteen bytes", "13"),
    ("msg", "nul\0inside", "NUL"),
    ("msg", "\ud800", "UTF-8"),
    ("mac", b"12345", "6"),
    ("mac", b"1234567", "6"),
    ("arr", [1, 2, 3], "4"),
    ("arr", [1, 2, 3, 4, 5], "4"),
    ("arr", [1, 2, 3, 2**32], r"\[3\]"),
    ("matrix", [[1, 2, 3], [4, 5]], r"\[1\]"),
    ("matrix", [[1, 2, 3], [4, 5, -1]], r"\[1\]\[2\]"),
    ("stats", changed(drops=2**32), r"stats\.drops"),
    ("stats", changed(mode=-1), r"stats\.mode"),
]

WRONG_TYPE: list[tuple[str, Any, str]] = [
    ("u8_var", "1", "integer"),
    ("u32_var", 1.0, "integer"),
    ("u64_var", None, "integer"),
    ("u128_var", 1.5, "integer"),
    ("u8_var", b"\1", "integer"),
    ("bool_var", 1, "bool"),
    ("bool_var", None, "bool"),
    ("float_var", "1.0", "number"),
    ("double_var", None, "number"),
    ("msg", b"bytes", "str"),
    ("msg", 5, "str"),
    ("mac", "string", "bytes"),
    ("mac", [1, 2, 3, 4, 5, 6], "bytes"),
    ("arr", 5, "list"),
    ("arr", "1234", "list"),
    ("arr", [1, 2, 3, "4"], r"\[3\]"),
    ("arr", None, "list"),
    ("flags", [True, False, 1], r"\[2\]"),
    ("stats", (1, 2, 3, 4), "Stats"),
    ("stats", None, "Stats"),
    ("stats", {"packets": 1}, "lacks|needs"),
    ("stats", {"packets": 1, "bytes": 2, "drops": 3, "mode": 4, "more": 5}, "more"),
    ("ptr_var", "0x10", "integer"),
]


@pytest.fixture
def objs(spy: Any) -> Iterator[Objects]:
    with Objects.load_and_assign(testdata("scalars"), engine=spy) as loaded:
        yield loaded


@pytest.mark.parametrize(("name", "value", "says"), OUT_OF_RANGE)
def test_what_does_not_fit_is_refused_and_nothing_changes(
    objs: Objects, spy: Any, name: str, value: Any, says: str
) -> None:
    before = spy.section(".data")
    with pytest.raises(BpfValueError, match=says) as caught:
        getattr(objs, name).set(value)
    assert name in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert spy.section(".data") == before


@pytest.mark.parametrize(("name", "value", "says"), WRONG_TYPE)
def test_a_wrong_type_is_refused_and_nothing_changes(objs: Objects, spy: Any, name: str, value: Any, says: str) -> None:
    before = spy.section(".data")
    with pytest.raises(BpfTypeError, match=says) as caught:
        getattr(objs, name).set(value)
    assert name in str(caught.value)
    assert isinstance(caught.value, TypeError)
    assert spy.section(".data") == before


@pytest.mark.parametrize("name", ["u8_var", "u64_var", "s64_var", "u128_var", "double_var", "ptr_var"])
def test_a_number_too_long_to_print_is_refused_like_any_other(objs: Objects, spy: Any, name: str) -> None:
    before = spy.section(".data")
    with pytest.raises(BpfValueError) as caught:  # Python itself refuses to turn such a number into text
        getattr(objs, name).set(10**5000)
    assert len(str(caught.value)) < 1000
    assert spy.section(".data") == before


class Growing(list):  # type: ignore[type-arg]
    """Says that it has four items and gives more, as a list does that another thread appends to meanwhile."""

    def __len__(self) -> int:
        return 4


def test_a_value_that_grows_while_it_is_read_is_no_way_around(objs: Objects, spy: Any) -> None:
    before = spy.section(".data")
    with pytest.raises(BpfValueError, match="arr"):
        objs.arr.set(Growing([1, 2, 3, 4, 5, 6]))
    assert spy.section(".data") == before


@pytest.mark.kernel
def test_a_value_that_grows_while_it_is_read_does_not_reach_the_neighbour_through_the_map(kernel_spy: Any) -> None:
    opened = Objects.open(testdata("scalars"))
    opened.spec.maps[".data"].flags &= ~MapFlag.MMAPABLE
    with opened.load(engine=kernel_spy) as objs:
        before = kernel_spy.section(".data")
        with pytest.raises(BpfValueError, match="arr"):
            objs.arr.set(Growing([1, 2, 3, 4, 5, 6]))
        assert kernel_spy.section(".data") == before


def test_an_integer_that_raises_changes_nothing(objs: Objects, spy: Any) -> None:
    class Angry:
        def __index__(self) -> int:
            raise RuntimeError("no")

    before = spy.section(".data")
    for name in ("u32_var", "u128_var"):
        with pytest.raises((RuntimeError, BpfValueError)):
            getattr(objs, name).set(Angry())
    assert spy.section(".data") == before


def test_nan_is_a_value(objs: Objects) -> None:
    for variable in (objs.double_var, objs.float_var):
        variable.set(math.nan)
        assert math.isnan(variable.get())


@pytest.mark.kernel
@pytest.mark.parametrize(("name", "value", "says"), [*OUT_OF_RANGE[:6], *OUT_OF_RANGE[16:], *WRONG_TYPE[:8]])
def test_the_fallback_refuses_the_same(kernel_spy: Any, name: str, value: Any, says: str) -> None:
    opened = Objects.open(testdata("scalars"))
    opened.spec.maps[".data"].flags &= ~MapFlag.MMAPABLE
    with opened.load(engine=kernel_spy) as objs:
        before = kernel_spy.section(".data")
        with pytest.raises(BpfValueError, match=says):
            getattr(objs, name).set(value)
        assert kernel_spy.section(".data") == before
