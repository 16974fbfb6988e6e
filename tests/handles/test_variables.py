"""`Var` and `Const`, over both engines: what was declared is what is read and written."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Annotated, Any
from typing import Literal as L

import pytest
from support.data import testdata

from bpfmodel import (
    Array,
    Bits,
    BpfObjects,
    Bytes,
    Const,
    CString,
    Engine,
    ReadOnlyError,
    Struct,
    Var,
    boolean,
    f32,
    f64,
    pointer,
    s8,
    s16,
    s32,
    s64,
    s128,
    u8,
    u16,
    u32,
    u64,
    u128,
)


class Mode(IntEnum):
    MODE_OFF = 0
    MODE_ON = 1
    MODE_AUTO = 7


class Level(IntEnum):
    LEVEL_LOW = -3
    LEVEL_ZERO = 0
    LEVEL_HIGH = 3


class Tiny(IntEnum):
    TINY_A = 1
    TINY_B = 2


class Stats(Struct):
    packets: u64
    bytes: u64
    drops: u32
    mode: u8


class Flags(Struct):
    a: Bits[u32, L[3]]
    b: Bits[u32, L[5]]
    c: Bits[s32, L[7]]
    d: Bits[u64, L[40]]
    full: u32


class Wire(Struct, packed=True):
    kind: u8
    seq: u32
    len: u16


class Objects(BpfObjects):
    u8_var: Var[u8]
    u16_var: Var[u16]
    u32_var: Var[u32]
    u64_var: Var[u64]
    u128_var: Var[u128]
    s8_var: Var[s8]
    s16_var: Var[s16]
    s32_var: Var[s32]
    s64_var: Var[s64]
    s128_var: Var[s128]
    bool_var: Var[boolean]
    float_var: Var[f32]
    double_var: Var[f64]
    char_var: Var[s8]
    mode_var: Var[Mode]
    level_var: Var[Level]
    tiny_var: Var[Annotated[Tiny, u8]]
    msg: Var[CString[L[13]]]
    mac: Var[Bytes[L[6]]]
    arr: Var[Array[u32, L[4]]]
    matrix: Var[Array[Array[u64, L[3]], L[2]]]
    flags: Var[Array[boolean, L[3]]]
    stats: Var[Stats]
    bits: Var[Flags]
    wire: Var[Wire]
    ptr_var: Var[pointer]
    chained_var: Var[u32]
    tagged_var: Var[u32]
    custom_var: Var[u32]
    not_ro: Var[u32]
    u32_zero: Var[u32]
    s64_zero: Var[s64]
    bool_zero: Var[bool]
    double_copy: Var[f64]
    msg_zero: Var[CString[L[16]]]
    arr_zero: Var[Array[u32, L[4]]]
    stats_zero: Var[Stats]

    ro_u8: Const[u8]
    ro_u16: Const[u16]
    ro_u32: Const[u32]
    ro_u64: Const[u64]
    ro_s8: Const[s8]
    ro_s16: Const[s16]
    ro_s32: Const[s32]
    ro_s64: Const[s64]
    ro_u128: Const[u128]
    ro_bool: Const[boolean]
    ro_float: Const[f32]
    ro_double: Const[f64]
    ro_mode: Const[Mode]
    ro_level: Const[Level]
    ro_msg: Const[CString[L[10]]]
    ro_name: Const[CString[L[16]]]
    ro_mac: Const[Bytes[L[6]]]
    ro_arr: Const[Array[u32, L[4]]]
    ro_matrix: Const[Array[Array[u64, L[3]], L[2]]]
    ro_stats: Const[Stats]
    ro_custom: Const[u32]


@pytest.fixture
def objs(engine: Engine) -> Iterator[Objects]:
    with Objects.load_and_assign(testdata("scalars"), engine=engine) as loaded:
        yield loaded


THIRD = struct.unpack("f", struct.pack("f", 1 / 3))[0]

# Each variable, what it starts with, and what is stored into it.
WRITABLE: list[tuple[str, Any, list[Any]]] = [
    ("u8_var", 200, [0, 255]),
    ("u16_var", 0xBEEF, [0, 65535]),
    ("u32_var", 0xDEADBEEF, [0, 2**32 - 1]),
    ("u64_var", 0x0123456789ABCDEF, [0, 2**64 - 1]),
    ("u128_var", (0x0011223344556677 << 64) | 0xFFFFFFFFFFFFFFFF, [0, 1, 2**127, 2**128 - 1]),
    ("s8_var", -100, [-128, -1, 127]),
    ("s16_var", -12345, [-(2**15), 2**15 - 1]),
    ("s32_var", -1234567890, [-(2**31), 2**31 - 1]),
    ("s64_var", -1234567890123456789, [-(2**63), 2**63 - 1]),
    ("s128_var", -(1 << 100) - 5, [-(2**127), -1, 2**127 - 1]),
    ("bool_var", True, [False, True]),
    ("float_var", 3.25, [0.0, -1.5, THIRD, float("inf")]),
    ("double_var", 2.718281828459045, [1 / 3, -1e308, float("-inf")]),
    ("char_var", ord("x"), [ord("A")]),
    ("mode_var", Mode.MODE_AUTO, [Mode.MODE_ON, Mode.MODE_OFF]),
    ("level_var", Level.LEVEL_LOW, [Level.LEVEL_HIGH]),
    ("tiny_var", Tiny.TINY_A, [Tiny.TINY_B]),
    ("msg", "Hello World!", ["", "short", "exactly 13 !!", "grüße"]),
    ("mac", b"\x02\x42\xac\x11\x00\x01", [b"\0\0\0\0\0\0", b"\xff\0\xfe\0\xfd\0"]),
    ("arr", [1, 2, 3, 4], [[0, 2**32 - 1, 5, 6]]),
    ("matrix", [[1, 2, 3], [4, 5, 6]], [[[9, 8, 7], [2**64 - 1, 0, 1]]]),
    ("flags", [True, False, True], [[False, True, False]]),
    ("stats", Stats(11, 2222, 33, 4), [Stats(2**64 - 1, 0, 1, 255)]),
    ("bits", Flags(5, 17, -30, 0x123456789A, 0xCAFE), [Flags(7, 0, 63, 2**40 - 1, 0), Flags(0, 31, -64, 0, 1)]),
    ("wire", Wire(1, 0x01020304, 500), [Wire(255, 0, 65535)]),
    ("ptr_var", 0x1122334455667788, [0, 2**64 - 1]),
    ("chained_var", 77, [78]),
    ("tagged_var", 5, [6]),
    ("custom_var", 1001, [1]),
    ("not_ro", 3003, [1]),
    ("u32_zero", 0, [17]),
    ("s64_zero", 0, [-1]),
    ("bool_zero", False, [True]),
    ("double_copy", 0.0, [0.1]),
    ("msg_zero", "", ["sixteen bytes..!"]),
    ("arr_zero", [0, 0, 0, 0], [[1, 2, 3, 4]]),
    ("stats_zero", Stats(0, 0, 0, 0), [Stats(1, 2, 3, 4)]),
]

CONSTANT: list[tuple[str, Any]] = [
    ("ro_u8", 250),
    ("ro_u16", 60000),
    ("ro_u32", 4000000),
    ("ro_u64", 5000000000),
    ("ro_s8", -8),
    ("ro_s16", -1600),
    ("ro_s32", -320000),
    ("ro_s64", -6400000000),
    ("ro_u128", (1 << 64) + 2),
    ("ro_bool", True),
    ("ro_float", 0.5),
    ("ro_double", 1e100),
    ("ro_mode", Mode.MODE_AUTO),
    ("ro_level", Level.LEVEL_LOW),
    ("ro_msg", "read only"),
    ("ro_name", "eth0"),
    ("ro_mac", b"\1\2\3\4\5\6"),
    ("ro_arr", [10, 20, 30, 40]),
    ("ro_matrix", [[100, 200, 300], [400, 500, 600]]),
    ("ro_stats", Stats(1, 2, 3, 4)),
    ("ro_custom", 2002),
]


@pytest.mark.parametrize(("name", "initial"), [(name, initial) for name, initial, _ in WRITABLE])
def test_var_starts_with_the_value_in_the_object(objs: Objects, name: str, initial: Any) -> None:
    value = getattr(objs, name).get()
    assert value == initial
    assert type(value) is type(initial)


@pytest.mark.parametrize(("name", "stored"), [(name, values) for name, _, values in WRITABLE])
def test_var_gives_back_what_was_stored(objs: Objects, name: str, stored: list[Any]) -> None:
    variable = getattr(objs, name)
    for value in stored:
        variable.set(value)
        assert variable.get() == value
        assert type(variable.get()) is type(value)


@pytest.mark.parametrize(("name", "stored"), [(name, values) for name, _, values in WRITABLE])
def test_set_touches_no_other_byte_of_the_section(spy: Any, name: str, stored: list[Any]) -> None:
    with Objects.load_and_assign(testdata("scalars"), engine=spy) as objs:
        variable = getattr(objs, name)
        start, end = variable.offset, variable.offset + variable.size
        before = spy.section(variable.section)
        for value in stored:
            variable.set(value)
            after = spy.section(variable.section)
            assert after[:start] == before[:start]
            assert after[end:] == before[end:]
            assert after[start:end] == bytes(variable.memory)


@pytest.mark.parametrize(("name", "initial"), CONSTANT)
def test_const_gives_the_value_in_the_object(objs: Objects, name: str, initial: Any) -> None:
    value = getattr(objs, name).get()
    assert value == initial
    assert type(value) is type(initial)


@pytest.mark.parametrize("name", [name for name, _ in CONSTANT])
def test_const_has_no_set(objs: Objects, name: str) -> None:
    assert not hasattr(getattr(objs, name), "set")


def test_const_gives_the_rewritten_value(engine: Engine) -> None:
    wanted = {"ro_u32": 7, "ro_name": "veth1", "ro_arr": [4, 3, 2, 1], "ro_stats": Stats(9, 8, 7, 6)}
    with Objects.load_and_assign(testdata("scalars"), constants=wanted, engine=engine) as objs:
        assert {name: getattr(objs, name).get() for name in wanted} == wanted
        assert objs.ro_u64.get() == 5000000000  # a neighbour


def test_a_value_outside_the_enum_stays_an_int(objs: Objects) -> None:
    objs.mode_var.set(3)  # type: ignore[arg-type]  # what a program may store as well
    assert objs.mode_var.get() == 3
    assert type(objs.mode_var.get()) is int


def test_a_shorter_text_leaves_nothing_of_the_longer_one(objs: Objects) -> None:
    objs.msg.set("ab")
    assert bytes(objs.msg.memory) == b"ab" + bytes(11)


def test_text_that_is_no_utf8_survives_the_way_there_and_back(objs: Objects) -> None:
    objs.msg.memory[:3] = b"\xff\xfe\0"
    text = objs.msg.get()
    objs.msg.set("")
    objs.msg.set(text)
    assert bytes(objs.msg.memory)[:3] == b"\xff\xfe\0"


def test_a_struct_from_get_is_a_copy(objs: Objects) -> None:
    copied = objs.stats.get()
    copied.packets = 99
    assert objs.stats.get().packets == 11


def test_a_handle_cannot_be_replaced_by_a_value(objs: Objects) -> None:
    with pytest.raises(ReadOnlyError, match="u32_var"):
        objs.u32_var = 5  # type: ignore[assignment]
    assert objs.u32_var.get() == 0xDEADBEEF


def test_repr_shows_the_value(objs: Objects) -> None:
    assert "u32_zero" in repr(objs.u32_zero) and "0" in repr(objs.u32_zero)
    assert "Const" in repr(objs.ro_u8) and "250" in repr(objs.ro_u8)


class Loose(BpfObjects):
    u8_var: Var[int]
    s64_var: Var[int]
    u128_var: Var[int]
    mode_var: Var[int]
    double_var: Var[float]
    float_var: Var[float]
    msg: Var[str]
    mac: Var[bytes]
    arr: Var[list]  # type: ignore[type-arg]
    stats: Var[Any]
    ro_u32: Const[int]
    ro_name: Const[str]
    ro_stats: Const[Any]
    ro_matrix: Const[Any]


LOOSE: list[tuple[str, Any, Any]] = [
    ("u8_var", 200, 255),
    ("s64_var", -1234567890123456789, -5),
    ("u128_var", (0x0011223344556677 << 64) | 0xFFFFFFFFFFFFFFFF, 2**100),
    ("mode_var", 7, 1),
    ("double_var", 2.718281828459045, 0.1),
    ("float_var", 3.25, THIRD),
    ("msg", "Hello World!", "bye"),
    ("mac", b"\x02\x42\xac\x11\x00\x01", b"abcdef"),
    ("arr", [1, 2, 3, 4], [4, 3, 2, 1]),
    (
        "stats",
        {"packets": 11, "bytes": 2222, "drops": 33, "mode": 4},
        {"packets": 1, "bytes": 2, "drops": 3, "mode": 4},
    ),
]


@pytest.mark.parametrize(("name", "initial", "stored"), LOOSE)
def test_loose_annotations_take_size_and_sign_from_the_object(
    engine: Engine, name: str, initial: Any, stored: Any
) -> None:
    with Loose.load_and_assign(testdata("scalars"), engine=engine) as objs:
        variable = getattr(objs, name)
        assert variable.get() == initial
        variable.set(stored)
        assert variable.get() == stored


def test_loose_constants(engine: Engine) -> None:
    with Loose.load_and_assign(testdata("scalars"), constants={"ro_name": "lo"}, engine=engine) as objs:
        assert objs.ro_u32.get() == 4000000
        assert objs.ro_name.get() == "lo"
        assert objs.ro_stats.get() == {"packets": 1, "bytes": 2, "drops": 3, "mode": 4}
        assert objs.ro_matrix.get() == [[100, 200, 300], [400, 500, 600]]
        assert not hasattr(objs.ro_u32, "set")
