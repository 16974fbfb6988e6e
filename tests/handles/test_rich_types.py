"""Nested structs, unions, enums and bitfields in the program's memory: both sides read what the other wrote."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated
from typing import Literal as L

import pytest
from support.data import testdata

from bpfmodel import (
    Anonymous,
    Array,
    Bits,
    BpfObjects,
    BpfValueError,
    Bytes,
    Const,
    MismatchError,
    Program,
    Struct,
    Union,
    Var,
    boolean,
    f64,
    field,
    pointer,
    s32,
    u8,
    u16,
    u32,
    u64,
    u128,
)
from bpfmodel.engine import Engine


class Point(Struct):
    x: s32
    y: s32


class Number(Union):
    whole: u64
    half: Array[u32, L[2]]
    real: f64


class Word(Union):
    word: u32
    octets: Bytes[L[4]]


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


class Nested(Struct):
    id: u16
    at: Array[Point, L[2]]
    as_: Number = field(name="as")
    in_: Anonymous[Word]
    mode: Mode
    ready: boolean


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
    nested: Var[Nested]
    number: Var[Number]
    bits: Var[Flags]
    wire: Var[Wire]
    mode_var: Var[Mode]
    level_var: Var[Level]
    tiny_var: Var[Annotated[Tiny, u8]]
    ptr_var: Var[pointer]
    u128_var: Var[u128]
    ro_bits: Const[Flags]
    ro_mode: Const[Mode]
    bump: Program


NESTED = Nested(
    513, [Point(1, -2), Point(3, -4)], Number(whole=0x1111111122222222), Word(word=0x04030201), Mode.MODE_ON, True
)


def test_initial_values(engine: Engine) -> None:
    with Objects.load_and_assign(testdata("scalars"), engine=engine) as objs:
        assert objs.nested.get() == NESTED
        assert objs.number.get().half == [7, 9]
        assert objs.bits.get() == Flags(5, 17, -30, 0x123456789A, 0xCAFE)
        assert objs.wire.get() == Wire(1, 0x01020304, 500)
        assert objs.mode_var.get() is Mode.MODE_AUTO
        assert objs.level_var.get() is Level.LEVEL_LOW
        assert objs.tiny_var.get() is Tiny.TINY_A
        assert objs.ptr_var.get() == 0x1122334455667788
        assert objs.ro_bits.get() == Flags(1, 2, -3, 4, 5)
        assert objs.ro_mode.get() is Mode.MODE_AUTO


def test_what_is_set_is_read_back(engine: Engine) -> None:
    with Objects.load_and_assign(testdata("scalars"), engine=engine) as objs:
        for handle, value in (
            (
                objs.nested,
                Nested(1, [Point(5, 6), Point(-7, 8)], Number(real=1.5), Word(octets=b"abcd"), Mode(0), False),
            ),
            (objs.number, Number(half=[1, 2])),
            (objs.bits, Flags(7, 31, -64, (1 << 40) - 1, 0xFFFFFFFF)),
            (objs.wire, Wire(255, 0xFFFFFFFF, 0)),
            (objs.mode_var, Mode.MODE_OFF),
            (objs.level_var, Level.LEVEL_HIGH),
            (objs.u128_var, (1 << 128) - 1),
        ):
            handle.set(value)  # type: ignore[attr-defined]
            assert handle.get() == value  # type: ignore[attr-defined]
        objs.mode_var.set(5)  # type: ignore[arg-type]  # a value without a name stays a number
        assert objs.mode_var.get() == 5


@pytest.mark.kernel
def test_the_program_reads_and_writes_the_same(kernel: Engine) -> None:
    with Objects.load_and_assign(testdata("scalars"), engine=kernel) as objs:
        objs.wire.set(Wire(2, 0xFFFF, 9))
        objs.bump.run()
        nested = objs.nested.get()
        assert (nested.id, nested.at[1].x, nested.as_.half[0]) == (514, -3, 0xAAAAAAAA)
        assert (nested.in_.octets, nested.mode, nested.ready) == (b"\1\2\3\xff", Mode.MODE_OFF, False)
        assert objs.bits.get() == Flags(6, 31, 30, 0x123456789B, 0xCAFE)
        assert objs.wire.get() == Wire(2, 0x10000, 9)
        assert (objs.mode_var.get(), objs.level_var.get(), objs.tiny_var.get()) == (Mode(1), Level(3), Tiny(2))


def test_constants_of_these_types_are_rewritten(engine: Engine) -> None:
    constants = {"ro_bits": Flags(7, 6, 5, 4, 3), "ro_mode": Mode.MODE_ON}
    with Objects.load_and_assign(testdata("scalars"), constants=constants, engine=engine) as objs:
        assert objs.ro_bits.get() == Flags(7, 6, 5, 4, 3)
        assert objs.ro_mode.get() is Mode.MODE_ON


def test_a_bad_value_deep_inside_is_named_and_nothing_is_written(engine: Engine) -> None:
    with Objects.load_and_assign(testdata("scalars"), engine=engine) as objs:
        value = objs.nested.get()
        value.at[1].y = 1 << 31
        with pytest.raises(BpfValueError, match=r"^nested.at\[1\].y: 2147483648 is out of range for s32"):
            objs.nested.set(value)
        assert objs.nested.get() == NESTED


class Flexible(Struct):
    count: u32
    items: Array[u8, L[0]]


class Zero(BpfObjects):
    flexible: Var[Flexible]
    after: Var[u32]


def test_a_flexible_member_has_what_its_initial_value_gave_it(engine: Engine) -> None:
    with Zero.load_and_assign(testdata("zero"), engine=engine) as objs:
        assert objs.flexible.get() == Flexible(3, [7, 8, 9, 0])
        objs.flexible.set(Flexible(1, [4, 3, 2, 1]))
        assert objs.flexible.get().items == [4, 3, 2, 1]
        with pytest.raises(BpfValueError, match=r"flexible.items: 5 values"):
            objs.flexible.set(Flexible(1, [1, 2, 3, 4, 5]))
        assert objs.after.get() == 2


def test_near_misses_are_one_finding_each() -> None:
    class MovedPoint(Struct):
        y: s32
        x: s32

    class Renamed(Struct, packed=True):
        kind: u8
        sequence: u32
        len: u16

    class Wider(Struct):
        a: Bits[u32, L[4]]
        b: Bits[u32, L[5]]
        c: Bits[s32, L[7]]
        d: Bits[u64, L[40]]
        full: u32

    class Other(IntEnum):
        MODE_OFF = 0
        MODE_ON = 2

    class Wrong(BpfObjects):
        wire: Var[Renamed]
        bits: Var[Wider]
        mode_var: Var[Other]
        at: Var[Array[MovedPoint, L[2]]] | None

    with pytest.raises(MismatchError) as caught:
        Wrong.check(testdata("scalars"))
    assert [str(finding) for finding in caught.value.findings] == [
        "wire.sequence: no such member; at offset 1 lies seq",
        "bits.a: declared a bitfield of 4 bits, found a bitfield of 3 bits",
        "mode_var.MODE_ON: declared 2, found 1",
    ]
