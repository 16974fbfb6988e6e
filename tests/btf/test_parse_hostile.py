"""Hostile BTF: circles, numbers out of range, lengths that lie, nesting without end, and every truncation."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from support.btfwriter import BtfWriter, ByteOrder, Kind
from support.objects import ObjectBuilder

from bpfmodel import BpfModelError, CollectionSpec, SourceError
from bpfmodel.btf import kinds
from bpfmodel.btf.compare import compare
from bpfmodel.btf.endless import MAX_DEPTH
from bpfmodel.btf.layout import size_of
from bpfmodel.btf.parse import BTF
from bpfmodel.btf.render import describe


def parse(writer: BtfWriter) -> BTF:
    return BTF.from_bytes(writer.build())


def everything(order: ByteOrder = "little") -> BtfWriter:
    """BTF with each of the kinds once."""
    writer = BtfWriter(order)
    word = writer.int_("int", 4, 1)
    proto = writer.func_proto(word, [("x", word)], variadic=True)
    variable = writer.var("x", writer.typedef("word", writer.volatile(writer.const(word))))
    writer.ptr(writer.restrict(writer.type_tag("user", word)))
    writer.array(word, 3)
    writer.struct("pair", 8, [("a", word, 0), ("b", word, 32)])
    writer.union("either", 4, [("a", word)])
    writer.enum("mode", {"OFF": 0, "ON": 1})
    writer.enum64("wide", {"BIG": 1 << 40})
    writer.fwd("opaque")
    writer.func("main", proto)
    writer.float_("double", 8)
    writer.decl_tag("mine", variable)
    writer.datasec(".bss", [(variable, 0, 4)])
    return writer


# Circles


def struct_in_itself(w: BtfWriter) -> None:
    w.struct("a", 4, [("me", w.next_id)])


def two_structs(w: BtfWriter) -> None:
    w.struct("a", 4, [("b", 2)])
    w.struct("b", 4, [("a", 1)])


def typedef_of_itself(w: BtfWriter) -> None:
    w.typedef("loop", w.next_id)


def const_volatile(w: BtfWriter) -> None:
    w.const(2)
    w.volatile(1)


def array_of_itself(w: BtfWriter) -> None:
    w.array(1, 4, index=1)


def pointer_to_itself(w: BtfWriter) -> None:
    w.ptr(1)


def pointer_through_typedef(w: BtfWriter) -> None:
    w.ptr(2)
    w.typedef("p", 1)


def pointer_through_array(w: BtfWriter) -> None:
    w.ptr(2)
    w.array(1, 2, index=1)


def union_through_array(w: BtfWriter) -> None:
    w.union("u", 8, [("x", 2)])
    w.array(3, 2, index=3)
    w.typedef("t", 1)


@pytest.mark.parametrize(
    "make",
    [
        struct_in_itself, two_structs, typedef_of_itself, const_volatile, array_of_itself, pointer_to_itself,
        pointer_through_typedef, pointer_through_array, union_through_array,
    ],
)  # fmt: skip
def test_endless_types_are_refused(make: Callable[[BtfWriter], None]) -> None:
    writer = BtfWriter()
    make(writer)
    with pytest.raises(SourceError, match="contains itself"):
        parse(writer)


@pytest.mark.parametrize("between", ["", "typedef", "const", "array"])
def test_a_pointer_to_the_own_struct_is_c(between: str) -> None:
    writer = BtfWriter()
    writer.struct("node", 8, [("next", 2)])
    writer.ptr(3 if between else 1)
    if between == "typedef":
        writer.typedef("node_t", 1)
    elif between == "const":
        writer.const(1)
    elif between == "array":
        writer.array(1, 2, index=1)
    node = parse(writer).types[1]
    assert size_of(node) == 8
    assert describe(node) == "struct node (8 bytes)"
    assert compare(node, node) == []


def test_a_function_that_takes_itself() -> None:
    """typedef void fn(fn *): a circle, and one that nothing gets lost in."""
    writer = BtfWriter()
    writer.func_proto(0, [("self", 2)])
    writer.ptr(3)
    writer.typedef("fn", 1)
    writer.func("call", 1)
    pointer = parse(writer).types[2]
    assert describe(pointer) == "fn * (8 bytes)"
    assert compare(pointer, pointer) == []


def test_a_function_that_returns_itself() -> None:
    writer = BtfWriter()
    writer.ptr(2)
    writer.func_proto(1)
    assert describe(parse(writer).types[1]) == "function * (8 bytes)"


# Nesting


def nest(levels: int, step: Callable[[BtfWriter, int], int]) -> BtfWriter:
    writer = BtfWriter()
    inner = writer.int_("int", 4)
    for _ in range(levels):
        inner = step(writer, inner)
    return writer


STEPS: dict[str, Callable[[BtfWriter, int], int]] = {
    "typedef": lambda w, t: w.typedef("t", t),
    "ptr": lambda w, t: w.ptr(t),
    "struct": lambda w, t: w.struct("s", 4, [("x", t)]),
    "anonymous": lambda w, t: w.struct("", 4, [("", t)]),
    "array": lambda w, t: w.array(t, 1, index=1),
    "const": lambda w, t: w.const(t),
}


@pytest.mark.parametrize("step", STEPS)
def test_depth_that_c_needs(step: str) -> None:
    writer = nest(32, STEPS[step])
    deepest = parse(writer).types[-1]
    assert size_of(deepest) == (8 if step == "ptr" else 4)
    describe(deepest)
    assert compare(deepest, deepest) == []


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("levels", [MAX_DEPTH + 2, 5_000])
def test_depth_that_only_an_attacker_needs(step: str, levels: int) -> None:
    with pytest.raises(SourceError, match="nests deeper"):
        parse(nest(levels, STEPS[step]))


def test_the_limit_does_not_depend_on_the_order() -> None:
    for levels in range(MAX_DEPTH - 3, MAX_DEPTH + 3):
        answers = set()
        for backwards in (False, True):
            writer = BtfWriter()
            if backwards:  # the outermost first, each naming the next
                for _ in range(levels):
                    writer.typedef("t", writer.next_id + 1)
                writer.int_("int", 4)
            else:
                writer = nest(levels, STEPS["typedef"])
            try:
                parse(writer)
                answers.add("read")
            except SourceError:
                answers.add("refused")
        assert len(answers) == 1, levels


def doubling(levels: int, name: str) -> BtfWriter:
    """Each struct holds the one before twice, in the same 4 bytes: 2**levels ways lead to the innermost."""
    writer = BtfWriter()
    inner = writer.int_("int", 4)
    for _ in range(levels):
        inner = writer.struct("s" if name else "", 4, [(name and "a", inner), (name and "b", inner)])
    return writer


@pytest.mark.parametrize("name", ["named", ""])
def test_doubling_types_take_no_time(name: str) -> None:
    btf = parse(doubling(40, name))
    assert size_of(btf.types[-1]) == 4


@pytest.mark.parametrize("name", ["named", ""])
def test_a_value_of_a_doubling_type_is_refused_or_read_in_time(name: str) -> None:
    builder = ObjectBuilder()
    inner = builder.btf.int_("int", 4)
    for _ in range(22):  # four million ways: seconds if each is walked
        inner = builder.btf.struct("s" if name else "", 4, [(name and "a", inner), (name and "b", inner)])
    builder.variable("x", inner, 4)
    started = time.perf_counter()
    try:
        CollectionSpec.from_bytes(builder.build()).variables["x"].get()
    except BpfModelError:
        pass
    assert time.perf_counter() - started < 1


# Numbers that lead nowhere

REFERRERS: dict[str, Callable[[BtfWriter, int], int]] = {
    "ptr": lambda w, n: w.ptr(n),
    "typedef": lambda w, n: w.typedef("t", n),
    "volatile": lambda w, n: w.volatile(n),
    "const": lambda w, n: w.const(n),
    "restrict": lambda w, n: w.restrict(n),
    "type_tag": lambda w, n: w.type_tag("t", n),
    "decl_tag": lambda w, n: w.decl_tag("t", n),
    "array": lambda w, n: w.array(n, 1, index=0),
    "struct": lambda w, n: w.struct("s", 4, [("x", n)]),
    "union": lambda w, n: w.union("u", 4, [("x", n)]),
    "func": lambda w, n: w.func("f", n),
    "returns": lambda w, n: w.func_proto(n),
    "parameter": lambda w, n: w.func_proto(0, [("x", n)]),
    "var": lambda w, n: w.var("v", n),
    "datasec": lambda w, n: w.datasec(".bss", [(n, 0, 4)]),
}


@pytest.mark.parametrize("referrer", REFERRERS)
@pytest.mark.parametrize("number", [2, 1 << 16, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_type_numbers_out_of_range(referrer: str, number: int) -> None:
    writer = BtfWriter()
    REFERRERS[referrer](writer, number)
    with pytest.raises(SourceError, match="refers to a type beyond the 1 it has"):
        parse(writer)


@pytest.mark.parametrize("offset", [5, 1 << 16, 0xFFFFFFFF])
def test_names_out_of_range(offset: int) -> None:
    writer = BtfWriter()
    writer.add_string("int")
    writer.raw(offset, Kind.FLOAT, size_or_type=4)
    with pytest.raises(SourceError, match=f"names a string at {offset}"):
        parse(writer)


# Lengths and sizes that lie

COUNTED = (Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FUNC_PROTO, Kind.DATASEC)


@pytest.mark.parametrize("kind", COUNTED)
def test_more_entries_than_bytes(kind: Kind) -> None:
    writer = BtfWriter()
    writer.raw("x", kind, vlen=0xFFFF, size_or_type=4 if kind != Kind.FUNC_PROTO else 0, payload=bytes(24))
    with pytest.raises(SourceError, match="BTF type 1 is truncated"):
        parse(writer)


@pytest.mark.parametrize("kind", [0, *range(20, 32)])
def test_unknown_kinds(kind: int) -> None:
    writer = BtfWriter()
    writer.raw("x", kind)
    with pytest.raises(SourceError, match=f"BTF kind {kind} is not known"):
        parse(writer)


@pytest.mark.parametrize("size", [0, 3, 5, 17, 1 << 31, 0xFFFFFFFF])
@pytest.mark.parametrize("kind", ["int", "float", "enum", "enum64"])
def test_scalars_of_impossible_sizes(kind: str, size: int) -> None:
    writer = BtfWriter()
    if kind == "int":
        writer.int_("x", size, bits=8)
    elif kind == "float":
        writer.float_("x", size)
    else:
        getattr(writer, kind)("x", {"A": 0}, size)
    with pytest.raises(SourceError):
        parse(writer)


@pytest.mark.parametrize(("bits", "offset"), [(0, 0), (33, 0), (255, 0), (32, 1), (1, 32), (1, 255)])
def test_integers_with_impossible_bits(bits: int, offset: int) -> None:
    writer = BtfWriter()
    writer.int_("x", 4, bits=bits, bit_offset=offset)
    with pytest.raises(SourceError, match=f"{bits} bits at bit {offset} of 4 bytes"):
        parse(writer)


@pytest.mark.parametrize("field", ["hdr_len", "type_off", "type_len", "str_off", "str_len"])
@pytest.mark.parametrize("value", [0, 1, 23, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF])
def test_header_fields_that_lie(field: str, value: int) -> None:
    """Whatever the header says: types are read, or a SourceError says why not."""
    writer = everything()
    blob = writer.build(**{field: value})  # type: ignore[arg-type]
    if (field, value) in {("type_off", 0), ("type_len", 0)}:
        BTF.from_bytes(blob)
    else:
        with pytest.raises(SourceError, match="BTF"):
            BTF.from_bytes(blob)


@pytest.mark.parametrize(("field", "value", "words"), [("magic", 0x9FEC, "magic"), ("version", 2, "version 2")])
def test_other_formats(field: str, value: int, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        BTF.from_bytes(everything().build(**{field: value}))  # type: ignore[arg-type]


@pytest.mark.parametrize("strings", [b"", b"x\0", b"\0x"])
def test_strings_must_begin_and_end_with_nul(strings: bytes) -> None:
    blob = BtfWriter().build(str_len=len(strings))[:24] + strings
    with pytest.raises(SourceError, match="NUL"):
        BTF.from_bytes(blob)


@pytest.mark.parametrize("order", ["little", "big"])
def test_truncated_at_every_byte(order: ByteOrder) -> None:
    blob = everything(order).build()
    assert len(BTF.from_bytes(blob)) > 15
    for length in range(len(blob)):
        with pytest.raises(SourceError):
            BTF.from_bytes(blob[:length])


def test_type_section_truncated_at_every_byte() -> None:
    """Only at the end of a record are there whole types; references beyond are then refused."""
    writer = everything()
    whole = BTF.from_bytes(writer.build())
    ends = {writer.type_offset(number) for number in range(1, len(whole))} - {0}
    strings = writer.build()[24 + int.from_bytes(writer.build()[12:16], "little") :]
    size = len(writer.build()) - 24 - len(strings)
    for length in range(1, size):
        types = writer.build()[24 : 24 + length]
        blob = writer.build(type_len=length, str_off=length)[:24] + types + strings
        try:
            found = BTF.from_bytes(blob)
        except SourceError:
            continue
        assert length in ends and len(found) < len(whole)


def test_types_without_a_size_have_none() -> None:
    writer = BtfWriter()
    writer.fwd("opaque")
    writer.func_proto()
    writer.func("f", 2)
    writer.var("v", 1)
    writer.typedef("t", 0)
    writer.array(1, 3, index=0)
    for type in parse(writer).types:
        with pytest.raises(SourceError, match="has no size"):
            size_of(type)


def test_a_long_array_is_only_a_number() -> None:
    writer = BtfWriter()
    inner = writer.int_("int", 4)
    for _ in range(8):
        inner = writer.array(inner, 0xFFFFFFFF, index=1)
    deepest = parse(writer).types[-1]
    assert size_of(deepest) == 4 * 0xFFFFFFFF**8
    assert isinstance(deepest, kinds.Array)
