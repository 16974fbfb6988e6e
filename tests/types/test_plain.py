"""Values to dicts and back, and changed copies of them."""

from __future__ import annotations

from enum import IntEnum
from typing import Any
from typing import Literal as L

import pytest

from bpfmodel import (
    Anonymous,
    Array,
    Bits,
    BpfTypeError,
    BpfValueError,
    CString,
    Struct,
    Union,
    asdict,
    f64,
    replace,
    u8,
    u32,
    u64,
)


class Mode(IntEnum):
    OFF = 0
    ON = 1


class Inner(Struct):
    low: u32
    high: u32


class Number(Union):
    whole: u64
    half: u32
    real: f64


class Outer(Struct):
    name: CString[L[8]]
    mode: Mode
    rows: Array[Inner, L[2]]
    number: Number
    flags: Bits[u8, L[3]]
    in_: Anonymous[Inner]


OUTER = Outer("x", Mode.ON, [Inner(1, 2), Inner(3, 4)], Number(whole=7), 5, Inner(8, 9))


def test_dicts_all_the_way_down_and_back() -> None:
    found = asdict(OUTER)
    assert found == {
        "name": "x",
        "mode": Mode.ON,
        "rows": [{"low": 1, "high": 2}, {"low": 3, "high": 4}],
        "number": {"whole": 7},
        "flags": 5,
        "in_": {"low": 8, "high": 9},
    }
    assert Outer(**found) == OUTER


def test_a_dict_is_no_part_of_the_value() -> None:
    found = asdict(OUTER)
    found["rows"][0]["low"] = 99
    found["rows"].append(None)
    assert OUTER.rows == [Inner(1, 2), Inner(3, 4)]


def test_a_changed_copy_is_checked_and_leaves_the_first_alone() -> None:
    assert replace(OUTER, name="y", flags=1) == Outer("y", Mode.ON, OUTER.rows, OUTER.number, 1, Inner(8, 9))
    assert replace(OUTER, low=1).in_ == Inner(1, 9), "a member of the anonymous struct"
    assert replace(Number(whole=1 << 40), half=5).whole == (1 << 40) + 5
    assert OUTER.name == "x"
    with pytest.raises(BpfValueError, match=r"Outer\.flags: 8 is out of range"):
        replace(OUTER, flags=8)
    with pytest.raises(BpfTypeError, match="Outer has no member nmae"):
        replace(OUTER, nmae="z")


@pytest.mark.parametrize("wrong", [1, None, {"low": 1}, Outer])
def test_other_values_are_refused(wrong: Any) -> None:
    with pytest.raises(BpfTypeError, match="is no Struct and no Union"):
        asdict(wrong)
    with pytest.raises(BpfTypeError, match="is no Struct and no Union"):
        replace(wrong)
