"""Generated decoders read what the member-by-member path reads, for random types and bytes in both byte orders."""

from __future__ import annotations

import linecache
import traceback
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpfmodel import Struct, u8, u64
from bpfmodel.btf import kinds
from bpfmodel.btf.layout import Slot, lay_out, size_of
from bpfmodel.types import composites
from bpfmodel.types.codec import codec_for
from bpfmodel.types.compiled import MAX_LEAVES, TooLarge

# No floats: NaN differs from itself, and random bytes hold it now and then.
SCALARS: list[kinds.Type] = [
    *(kinds.Int(f"i{size}{signed}", size, signed) for size in (1, 2, 4, 8, 16) for signed in (0, kinds.SIGNED)),
    kinds.Int("bool", 1, kinds.BOOL),
    kinds.Ptr(kinds.VOID),
]
scalars = st.sampled_from(SCALARS)
arrays = st.builds(
    lambda element, length, form: kinds.Array(element, length, form if element.size == 1 else list),
    st.sampled_from([t for t in SCALARS if not (isinstance(t, kinds.Int) and t.is_bool)]),
    st.integers(1, 5),
    st.sampled_from([list, bytes]),
)


@st.composite
def structs(draw: st.DrawFn, depth: int = 2) -> kinds.Struct:
    kind = st.one_of(scalars, arrays, structs(depth - 1)) if depth else st.one_of(scalars, arrays)
    slots = []
    for number in range(draw(st.integers(1, 5))):
        type = draw(kind)
        bits = 0
        if isinstance(type, kinds.Int) and type.size <= 8 and not type.is_bool and draw(st.booleans()):
            bits = draw(st.integers(1, type.size * 8))
        slots.append(Slot(f"m{number}", type, bits))
    layout = lay_out(slots, packed=draw(st.booleans()))
    cls = type_of(draw(st.booleans()))
    return kinds.Struct("s", layout.size, layout.members, cls)


class Plain:
    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


def type_of(with_class: bool) -> Any:
    return Plain if with_class else None


def refuse(*_: Any) -> Any:
    raise TooLarge


@settings(max_examples=300, deadline=None)
@given(type=structs(), data=st.data(), order=st.sampled_from(["little", "big"]))
def test_both_ways_read_the_same(type: kinds.Struct, data: st.DataObject, order: Any) -> None:
    outer = kinds.Struct("outer", type.size, type.members, Plain)
    raw = data.draw(st.binary(min_size=outer.size, max_size=outer.size))
    quick = codec_for(outer, order).decode(raw, 0)
    slow_type = kinds.Struct("outer", type.size, type.members, Plain)
    before = composites.struct_decoder
    composites.struct_decoder = refuse
    try:
        slow = codec_for(slow_type, order).decode(raw, 0)
    finally:
        composites.struct_decoder = before
    assert quick == slow


def test_an_offset_is_honoured() -> None:
    class Pair(Struct):
        a: u8
        b: u64

    codec = codec_for(Pair.__bpf_type__(), "little")
    raw = b"\xff" * 3 + codec.encode(Pair(1, 2)) + b"\xff" * 3
    assert codec.decode(raw, 3) == Pair(1, 2)


def test_many_members_are_read_one_by_one() -> None:
    members = [kinds.Member(f"m{n}", SCALARS[0], n * 8) for n in range(MAX_LEAVES + 1)]
    type = kinds.Struct("many", len(members), members, Plain)
    raw = bytes(n % 251 for n in range(len(members)))
    assert list(vars(codec_for(type, "little").decode(raw, 0)).values()) == list(raw)


def test_generated_source_shows_in_tracebacks() -> None:
    class Traced(Struct):
        a: u8
        b: u64

    codec = codec_for(Traced.__bpf_type__(), "little")
    with pytest.raises(Exception, match="buffer") as caught:
        codec.decode(b"", 0)
    assert "unpack(buffer, offset)" in "".join(traceback.format_exception(caught.value))
    assert any("decode struct Traced" in name for name in linecache.cache)


def test_sizes_are_those_of_the_layout() -> None:
    for type in SCALARS:
        assert codec_for(type, "little").size == size_of(type)
