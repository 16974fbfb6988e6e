"""Frozen structs: values that stay what they are, and are keys of dicts."""

from __future__ import annotations

from typing import Literal as L

import pytest
from support.objects import ObjectBuilder

from bpfmodel import (
    Array,
    Bits,
    BpfObjects,
    CString,
    DeclarationError,
    HashMap,
    ReadOnlyError,
    Struct,
    Union,
    field,
    replace,
    u8,
    u32,
    u64,
)
from bpfmodel.engine import Engine


class Number(Union):
    whole: u32
    parts: Array[u8, L[4]]


class Inner(Struct):
    low: u32


class Key(Struct, frozen=True):
    address: u32
    from_: u8 = field(name="from")
    low: Bits[u8, L[3]]
    name: CString[L[6]]
    ports: Array[u32, L[2]]
    inner: Inner
    number: Number


class Pair(Struct, frozen=True):
    left: u32
    right: u32


def key(address: int = 1) -> Key:
    return Key(address, 2, 3, "eth0", [4, 5], Inner(6), Number(whole=7))


def test_equal_values_have_one_hash() -> None:
    assert hash(key()) == hash(key())
    assert {key(): 1}[key()] == 1
    assert len({key(), key(), key(2)}) == 2


def test_values_stay_what_they_are() -> None:
    value = key()
    with pytest.raises(ReadOnlyError, match=r"Key is frozen: make a changed copy with replace\(value, address=…\)"):
        value.address = 5  # type: ignore[misc]
    with pytest.raises(ReadOnlyError, match="frozen"):
        del value.address
    assert value == key()
    assert replace(value, address=2) == key(2)


def test_others_have_no_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Inner(1))
    with pytest.raises(DeclarationError, match="a Union is built by setting a member, and cannot be frozen"):

        class Frozen(Union, frozen=True):
            whole: u32


def test_keys_of_a_map_are_keys_of_a_dict(engine: Engine) -> None:
    made = ObjectBuilder()
    word = made.btf.common("__u32")
    pair = made.btf.struct("pair", 8, [("left", word, 0), ("right", word, 32)])
    made.map("pairs", 1, key=pair, value=made.btf.common("__u64"), max_entries=8)

    class Objects(BpfObjects):
        pairs: HashMap[Pair, u64]

    with Objects.load_and_assign(made.build(), engine=engine) as objs:
        objs.pairs.update({Pair(1, 2): 3, Pair(4, 5): 6})
        assert dict(objs.pairs) == objs.pairs == {Pair(1, 2): 3, Pair(4, 5): 6}
        assert set(objs.pairs) == {Pair(1, 2), Pair(4, 5)}
        assert next(iter(objs.pairs)).left in (1, 4)
