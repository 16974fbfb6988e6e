"""Properties of codecs over random types: what is read can be written, and comes out as the same bytes."""

from __future__ import annotations

import enum
import math
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfmodel import BpfValueError, Struct, f32, f64, pointer, s8, s16, s32, s64, s128, u8, u16, u32, u64, u128
from bpfmodel.btf import kinds
from bpfmodel.btf.layout import Slot, lay_out, size_of
from bpfmodel.btf.parse import ByteOrder
from bpfmodel.types.codec import codec_for
from bpfmodel.types.lowering import lower

fast = settings(max_examples=150, deadline=None)
orders = st.sampled_from(["little", "big"])


class Mode(enum.IntEnum):
    OFF = 0
    ON = 1


INTS = [lower(annotation) for annotation in (u8, u16, u32, u64, u128, s8, s16, s32, s64, s128)]
SCALARS = [
    *INTS, lower(f32), lower(f64), lower(pointer), lower(bool), lower(Mode), kinds.Int("char", 1, kinds.SIGNED),
    kinds.Enum("tiny", 1, True, ()), kinds.Enum("wide", 8, False, ()), kinds.Float("_Float16", 2),
]  # fmt: skip


def composite(members: list[tuple[kinds.Type, int]], packed: bool, union: bool) -> kinds.Type:
    slots = []
    for number, (type, bits) in enumerate(members):
        width = 1 + bits % (type.size * 8) if bits and isinstance(type, kinds.Int) and type.size < 16 else 0
        slots.append(Slot(f"m{number}", type, width))
    layout = lay_out(slots, packed=packed, overlap=union)
    return (kinds.Union if union else kinds.Struct)("made", layout.size, layout.members)


def bigger(inner: st.SearchStrategy[kinds.Type]) -> st.SearchStrategy[kinds.Type]:
    return st.one_of(
        st.builds(kinds.Array, inner, st.integers(0, 4)),
        st.builds(lambda type: kinds.Typedef("t", kinds.Const("", type)), inner),
        st.builds(composite, st.lists(st.tuples(inner, st.sampled_from([0, 0, 3, 7, 31])), max_size=6),
                  st.booleans(), st.sampled_from([False, False, False, True])),
    )  # fmt: skip


types = st.recursive(st.sampled_from(SCALARS), bigger, max_leaves=16)


def has_nan(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(has_nan, value.values()))
    return any(map(has_nan, value)) if isinstance(value, list) else isinstance(value, float) and math.isnan(value)


@fast
@given(types, orders, st.data())
def test_what_is_read_can_be_written(type: kinds.Type, order: ByteOrder, data: st.DataObject) -> None:
    made = codec_for(type, order)
    assert made.size == size_of(type)
    raw = data.draw(st.binary(min_size=made.size, max_size=made.size))
    value = made.decode(raw, 0)
    written = made.encode(value)
    assert len(written) == made.size
    again = made.decode(written, 0)
    assert again == value or has_nan(value)
    assert made.encode(again) == written, "padding is gone, and all that is left is stable"


@fast
@given(types, orders, st.data())
def test_the_place_and_kind_of_the_buffer_change_nothing(
    type: kinds.Type, order: ByteOrder, data: st.DataObject
) -> None:
    made = codec_for(type, order)
    raw = data.draw(st.binary(min_size=made.size, max_size=made.size))
    plain = made.decode(raw, 0)
    moved = made.decode(memoryview(bytearray(b"\xa5" * 3 + raw + b"\x5a" * 3)), 3)
    assert moved == plain or has_nan(plain)


@fast
@given(st.sampled_from(INTS), orders, st.integers(-(2**130), 2**130))
def test_integers_fit_or_are_refused(type: kinds.Int, order: ByteOrder, value: int) -> None:
    made = codec_for(type, order)
    low = -(1 << type.size * 8 - 1) if type.signed else 0
    high = (1 << type.size * 8 - type.signed) - 1
    if low <= value <= high:
        assert made.encode(value) == value.to_bytes(type.size, order, signed=type.signed)
    else:
        with pytest.raises(BpfValueError, match="out of range"):
            made.encode(value)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(types, orders, anything)
def test_any_value_is_written_whole_or_refused(type: kinds.Type, order: ByteOrder, value: Any) -> None:
    made = codec_for(type, order)
    try:
        raw = made.encode(value)
    except BpfValueError:
        return
    assert len(raw) == made.size


@fast
@given(st.lists(st.tuples(st.sampled_from(INTS[:4] + INTS[5:9]), st.integers(1, 64)), min_size=1, max_size=8),
       st.booleans(), orders, st.data())  # fmt: skip
def test_bitfields_do_not_touch_each_other(
    fields: list[tuple[kinds.Int, int]], packed: bool, order: ByteOrder, data: st.DataObject
) -> None:
    slots = [Slot(f"m{n}", type, 1 + bits % (type.size * 8)) for n, (type, bits) in enumerate(fields)]
    layout = lay_out(slots, packed=packed)
    made = codec_for(kinds.Struct("bits", layout.size, layout.members), order)
    value = {}
    for slot in slots:
        signed = slot.type.signed  # type: ignore[attr-defined]
        low, high = (-(1 << slot.bits - 1), (1 << slot.bits - 1) - 1) if signed else (0, (1 << slot.bits) - 1)
        value[slot.name] = data.draw(st.integers(low, high))
    assert made.decode(made.encode(value), 0) == value


class Reading(Struct):
    stamp: u64
    level: f64
    count: s32
    mode: Mode


@fast
@given(st.integers(0, 2**64 - 1), st.floats(allow_nan=False), st.integers(-(2**31), 2**31 - 1), st.sampled_from(Mode))
def test_structs_are_what_struct_makes_of_them(stamp: int, level: float, count: int, mode: Mode) -> None:
    value = Reading(stamp, level, count, mode)
    for order, mark in (("little", "<"), ("big", ">")):
        made = codec_for(Reading.__bpf_type__(), order)  # type: ignore[arg-type]
        assert made.encode(value) == struct.pack(mark + "QdiI", stamp, level, count, mode)
        assert made.decode(made.encode(value), 0) == value
