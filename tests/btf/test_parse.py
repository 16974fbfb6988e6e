"""Every kind of BTF, in both byte orders, comes out of the parser with all that was put in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.btfwriter import BOOL, CHAR, SIGNED, BtfWriter, ByteOrder, Kind, Member
from support.data import TESTDATA

from bpfmodel import CollectionSpec, SourceError
from bpfmodel.btf import kinds
from bpfmodel.btf.parse import BTF

ORDERS = pytest.mark.parametrize("order", ["little", "big"])


OURS = {"python", "codecs"}
"""Attributes of types that have nothing to do with BTF."""


def fields(value: Any) -> Any:
    """Turn what BTF says of a type into plain data, following what it refers to; pointers end the walk."""
    if isinstance(value, (kinds.Type, kinds.Member, kinds.DatasecEntry)):
        if isinstance(value, kinds.Void):
            return "void"
        if isinstance(value, kinds.Ptr):
            return ("Ptr", value.target.name)
        slots = [name for cls in type(value).__mro__ for name in getattr(cls, "__slots__", ())]
        return (type(value).__name__, {name: fields(getattr(value, name)) for name in slots if name not in OURS})
    if isinstance(value, tuple):
        return tuple(fields(item) for item in value)
    return value


def u32(writer: BtfWriter) -> int:
    return writer.int_("unsigned int", 4)


U32 = ("Int", {"name": "unsigned int", "size": 4, "encoding": 0, "bits": 32, "offset": 0})


def member(name: str, type: Any, offset: int, bits: int = 0) -> Any:
    return ("Member", {"attribute": name, "bits": bits, "name": name, "offset": offset, "type": type})


CASES: dict[str, tuple[Callable[[BtfWriter], int], Any]] = {
    "int": (u32, U32),
    "int-signed": (
        lambda w: w.int_("long", 8, SIGNED),
        ("Int", {"name": "long", "size": 8, "encoding": SIGNED, "bits": 64, "offset": 0}),
    ),
    "int-wide": (
        lambda w: w.int_("unsigned __int128", 16),
        ("Int", {"name": "unsigned __int128", "size": 16, "encoding": 0, "bits": 128, "offset": 0}),
    ),
    "int-legacy-bitfield": (
        lambda w: w.int_("unsigned int", 4, bits=5, bit_offset=3),
        ("Int", {"name": "unsigned int", "size": 4, "encoding": 0, "bits": 5, "offset": 3}),
    ),
    "ptr": (lambda w: w.ptr(u32(w)), ("Ptr", "unsigned int")),
    "ptr-void": (lambda w: w.ptr(0), ("Ptr", "void")),
    "array": (lambda w: w.array(u32(w), 7), ("Array", {"element": U32, "length": 7})),
    "array-longest": (lambda w: w.array(u32(w), 0xFFFFFFFF), ("Array", {"element": U32, "length": 0xFFFFFFFF})),
    "struct": (
        lambda w: w.struct("pair", 8, [("a", u32(w), 0), ("b", 1, 32)]),
        ("Struct", {"align": 0, "members": (member("a", U32, 0), member("b", U32, 32)), "name": "pair", "size": 8}),
    ),
    "struct-bitfields": (
        lambda w: w.struct("bits", 4, [Member("a", u32(w), 0, 3), Member("b", 1, 3, 29)]),
        ("Struct", {"align": 0, "members": (member("a", U32, 0, 3), member("b", U32, 3, 29)), "name": "bits",
                    "size": 4}),
    ),
    "struct-mixed": (  # with the flag set, an ordinary member has width 0
        lambda w: w.struct("mixed", 8, [Member("a", u32(w), 0, 3), Member("b", 1, 32)]),
        ("Struct", {"align": 0, "members": (member("a", U32, 0, 3), member("b", U32, 32)), "name": "mixed",
                    "size": 8}),
    ),
    "struct-far-member": (  # without the flag, an offset has 32 bits, of which 24 are not enough here
        lambda w: w.struct("far", 1 << 22, [("a", u32(w), 1 << 24)]),
        ("Struct", {"align": 0, "members": (member("a", U32, 1 << 24),), "name": "far", "size": 1 << 22}),
    ),
    "union": (
        lambda w: w.union("either", 4, [("a", u32(w)), ("b", 1)]),
        ("Union", {"align": 0, "members": (member("a", U32, 0), member("b", U32, 0)), "name": "either", "size": 4}),
    ),
    "enum": (
        lambda w: w.enum("mode", {"OFF": 0, "MAX": 0xFFFFFFFF}),
        ("Enum", {"enumerators": (("OFF", 0), ("MAX", 0xFFFFFFFF)), "name": "mode", "signed": False, "size": 4}),
    ),
    "enum-signed": (
        lambda w: w.enum("level", {"LOW": -3, "HIGH": 3}, 1),
        ("Enum", {"enumerators": (("LOW", -3), ("HIGH", 3)), "name": "level", "signed": True, "size": 1}),
    ),
    "fwd-struct": (lambda w: w.fwd("opaque"), ("Fwd", {"name": "opaque", "union": False})),
    "fwd-union": (lambda w: w.fwd("opaque", "union"), ("Fwd", {"name": "opaque", "union": True})),
    "typedef": (lambda w: w.typedef("__u32", u32(w)), ("Typedef", {"name": "__u32", "target": U32})),
    "volatile": (lambda w: w.volatile(u32(w)), ("Volatile", {"name": "", "target": U32})),
    "const": (lambda w: w.const(u32(w)), ("Const", {"name": "", "target": U32})),
    "restrict": (lambda w: w.restrict(u32(w)), ("Restrict", {"name": "", "target": U32})),
    "func_proto": (
        lambda w: w.func_proto(u32(w), [("x", 1), ("y", 1)]),
        ("FuncProto", {"parameters": (("x", U32), ("y", U32)), "returns": U32}),
    ),
    "func_proto-variadic": (
        lambda w: w.func_proto(0, [("x", u32(w))], variadic=True),
        ("FuncProto", {"parameters": (("x", U32), ("", "void")), "returns": "void"}),
    ),
    "func": (
        lambda w: w.func("main", w.func_proto(), "extern"),
        ("Func", {"linkage": 2, "name": "main", "proto": ("FuncProto", {"parameters": (), "returns": "void"})}),
    ),
    "var": (lambda w: w.var("x", u32(w)), ("Var", {"linkage": 1, "name": "x", "type": U32})),
    "var-static": (lambda w: w.var("x", u32(w), "static"), ("Var", {"linkage": 0, "name": "x", "type": U32})),
    "datasec": (
        lambda w: w.datasec(".bss", [(w.var("x", u32(w)), 16, 4)], 20),
        ("Datasec", {"entries": (("DatasecEntry", {"offset": 16, "size": 4, "var": (
            "Var", {"linkage": 1, "name": "x", "type": U32})}),), "name": ".bss", "size": 20}),
    ),
    "float": (lambda w: w.float_("double", 8), ("Float", {"name": "double", "size": 8})),
    "decl_tag": (
        lambda w: w.decl_tag("mine", w.var("x", u32(w))),
        ("DeclTag", {"component": -1, "name": "mine", "target": ("Var", {"linkage": 1, "name": "x", "type": U32})}),
    ),
    "decl_tag-member": (
        lambda w: w.decl_tag("mine", w.struct("s", 4, [("a", u32(w))]), 0),
        ("DeclTag", {"component": 0, "name": "mine", "target": (
            "Struct", {"align": 0, "members": (member("a", U32, 0),), "name": "s", "size": 4})}),
    ),
    "type_tag": (lambda w: w.type_tag("user", u32(w)), ("TypeTag", {"name": "user", "target": U32})),
    "enum64": (
        lambda w: w.enum64("wide", {"BIG": 1 << 40, "ALL": (1 << 64) - 1}),
        ("Enum", {"enumerators": (("BIG", 1 << 40), ("ALL", (1 << 64) - 1)), "name": "wide", "signed": False,
                  "size": 8}),
    ),
    "enum64-signed": (
        lambda w: w.enum64("wide", {"LOW": -(1 << 63), "HIGH": (1 << 63) - 1}),
        ("Enum", {"enumerators": (("LOW", -(1 << 63)), ("HIGH", (1 << 63) - 1)), "name": "wide", "signed": True,
                  "size": 8}),
    ),
}  # fmt: skip


@ORDERS
@pytest.mark.parametrize("case", CASES)
def test_kind(case: str, order: ByteOrder) -> None:
    make, expected = CASES[case]
    writer = BtfWriter(order)
    number = make(writer)
    btf = BTF.from_bytes(writer.build())
    assert btf.byte_order == order
    assert len(btf) == writer.next_id, "the index of a type is its BTF number"
    found = fields(btf.types[number])
    assert found == expected


def test_all_kinds_are_here() -> None:
    built = set()
    for make, _ in CASES.values():
        writer = BtfWriter()
        number = make(writer)
        info = int.from_bytes(writer.build()[24 + writer.type_offset(number) + 4 :][:4], "little")
        built.add(Kind(info >> 24 & 0x1F))
    assert built == set(Kind)


@pytest.mark.parametrize(
    ("encoding", "name", "size", "signed", "is_bool", "is_char"),
    [
        (0, "unsigned int", 4, False, False, False),
        (SIGNED, "int", 4, True, False, False),
        (BOOL, "_Bool", 1, False, True, False),
        (SIGNED, "char", 1, True, False, True),  # as clang writes it
        (CHAR, "anything", 1, False, False, True),
        (SIGNED, "signed char", 1, True, False, False),
        (SIGNED, "char", 4, True, False, False),  # a name alone makes no char
    ],
)
def test_encoding(encoding: int, name: str, size: int, signed: bool, is_bool: bool, is_char: bool) -> None:
    writer = BtfWriter()
    writer.int_(name, size, encoding)
    found = BTF.from_bytes(writer.build()).types[1]
    assert isinstance(found, kinds.Int)
    assert (found.signed, found.is_bool, found.is_char) == (signed, is_bool, is_char)


def test_references_may_run_ahead_and_back() -> None:
    writer = BtfWriter()
    writer.struct("node", 16, [("next", 2, 0), ("value", 3, 64)])
    writer.ptr(1)
    writer.int_("long", 8, SIGNED)
    node = BTF.from_bytes(writer.build()).types[1]
    assert isinstance(node, kinds.Struct)
    pointer = node.members[0].type
    assert isinstance(pointer, kinds.Ptr) and pointer.target is node


def test_named() -> None:
    writer = BtfWriter()
    first, other = writer.int_("same", 4), writer.struct("same", 0)
    writer.int_("else", 4)
    writer.ptr(1)
    btf = BTF.from_bytes(writer.build())
    assert btf.named("same") == [btf.types[first], btf.types[other]]
    assert btf.named("none") == btf.named("") == []


def test_named_answers_are_the_callers_own() -> None:
    writer = BtfWriter()
    writer.int_("int", 4)
    btf = BTF.from_bytes(writer.build())
    btf.named("int").clear()
    assert len(btf.named("int")) == 1


def test_names_that_are_not_text() -> None:
    writer = BtfWriter()
    writer.int_(b"caf\xe9", 4)
    writer.int_("größe", 4)
    names = [type.name for type in BTF.from_bytes(writer.build())][1:]
    assert names == ["caf\\xe9", "größe"]


def test_one_string_may_end_another() -> None:
    writer = BtfWriter()
    start = writer.add_string("long int")
    writer.raw(start + 5, Kind.FLOAT, size_or_type=4)
    assert BTF.from_bytes(writer.build()).types[1].name == "int"


def test_a_longer_header_is_skipped() -> None:
    writer = BtfWriter()
    writer.int_("int", 4, SIGNED)
    assert BTF.from_bytes(writer.build(header_padding=b"\xff" * 8)).types[1].name == "int"


def test_types_and_strings_may_lie_apart() -> None:
    writer = BtfWriter()
    writer.int_("int", 4)
    blob = writer.build()
    strings = blob[24 + 16 :]
    apart = writer.build(type_off=len(strings), str_off=0)[:24] + strings + blob[24:40]
    assert BTF.from_bytes(apart).types[1].name == "int"


def test_no_types_at_all() -> None:
    btf = BTF.from_bytes(BtfWriter().build())
    assert len(btf) == 1 and btf.types[0] is kinds.VOID
    assert repr(btf) == "<BTF of 0 types>"


@ORDERS
def test_byte_order_must_be_the_objects(order: ByteOrder) -> None:
    blob = BtfWriter(order).build()
    other: ByteOrder = "little" if order == "big" else "big"
    assert BTF.from_bytes(blob, order).byte_order == order
    with pytest.raises(SourceError, match=f"{order}-endian in a {other}-endian object"):
        BTF.from_bytes(blob, other)


@pytest.mark.parametrize("path", sorted(TESTDATA.glob("*.bpf.o")), ids=lambda path: path.name)
def test_committed_objects_resolve(path: Any) -> None:
    """Every type of a real object is named, sized or neither for a reason."""
    spec = CollectionSpec.from_file(path)
    if not spec.has_btf:
        assert len(spec.types) == 1
        return
    for datasec in spec.types.datasecs():
        for entry in datasec.entries:
            assert isinstance(entry.var, kinds.Var) and entry.var.name
            assert spec.types.named(entry.var.name)
