"""Types are named the way C writes them."""

from __future__ import annotations

from typing import Any

import pytest
from support.data import testdata

from bpfmodel import CollectionSpec, SourceError
from bpfmodel.btf import kinds
from bpfmodel.btf.render import c_name, describe

INT = kinds.Int("int", 4, kinds.SIGNED)
CHAR = kinds.Int("char", 1, kinds.SIGNED)
STATS = kinds.Struct("stats", 16, ())


@pytest.mark.parametrize(
    ("type", "name"),
    [
        (kinds.VOID, "void"),
        (INT, "int"),
        (kinds.Float("double", 8), "double"),
        (STATS, "struct stats"),
        (kinds.Struct("", 4, ()), "struct (anonymous)"),
        (kinds.Union("number", 8, ()), "union number"),
        (kinds.Union("", 8, ()), "union (anonymous)"),
        (kinds.Enum("mode", 4, False, ()), "enum mode"),
        (kinds.Enum("", 4, False, ()), "enum (anonymous)"),
        (kinds.Fwd("sock", False), "struct sock"),
        (kinds.Fwd("either", True), "union either"),
        (kinds.FuncProto(INT, (("x", INT),)), "function"),
        (kinds.Func("main", kinds.FuncProto(INT, ()), 1), "main"),
        (kinds.Ptr(kinds.VOID), "void *"),
        (kinds.Ptr(kinds.Ptr(STATS)), "struct stats * *"),
        (kinds.Ptr(kinds.FuncProto(kinds.VOID, ())), "function *"),
        (kinds.Array(CHAR, 13), "char[13]"),
        (kinds.Array(kinds.Array(INT, 3), 2), "int[2][3]"),
        (kinds.Array(kinds.Ptr(CHAR), 2), "char *[2]"),
        (kinds.Array(INT, 0), "int[0]"),
        (kinds.Typedef("__u32", INT), "__u32"),
        (kinds.Typedef("outer", kinds.Typedef("inner", INT)), "outer"),
        (kinds.Array(kinds.Typedef("__u32", INT), 4), "__u32[4]"),
    ],
)
def test_c_name(type: kinds.Type, name: str) -> None:
    assert c_name(type) == name


@pytest.mark.parametrize("modifier", [kinds.Const, kinds.Volatile, kinds.Restrict])
def test_qualifiers_say_nothing(modifier: type[kinds.Modifier]) -> None:
    assert c_name(modifier("", kinds.Array(modifier("", INT), 2))) == "int[2]"
    assert c_name(kinds.Ptr(modifier("", STATS))) == "struct stats *"
    assert describe(modifier("", STATS)) == "struct stats (16 bytes)"


def test_type_tags_say_nothing() -> None:
    assert c_name(kinds.Ptr(kinds.TypeTag("user", INT))) == "int *"


@pytest.mark.parametrize(
    ("type", "text"),
    [
        (CHAR, "char (1 byte)"),
        (INT, "int (4 bytes)"),
        (kinds.Array(INT, 0), "int[0] (0 bytes)"),
        (kinds.Array(kinds.Array(INT, 3), 2), "int[2][3] (24 bytes)"),
        (kinds.Typedef("t", kinds.Const("", STATS)), "t (16 bytes)"),
        (kinds.Ptr(kinds.Fwd("sock", False)), "struct sock * (8 bytes)"),
        (kinds.VOID, "void"),
        (kinds.Fwd("sock", False), "struct sock"),
        (kinds.Const("", kinds.VOID), "void"),
        (kinds.FuncProto(INT, ()), "function"),
        (kinds.Loose(int), "int"),
        (kinds.Loose(Any), "Any"),
    ],
)
def test_describe(type: kinds.Type, text: str) -> None:
    assert describe(type) == text


def test_what_has_no_size_has_no_size_in_an_array_either() -> None:
    with pytest.raises(SourceError, match="has no size"):
        describe(kinds.Array(kinds.VOID, 2))


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("u128_var", "unsigned __int128 (16 bytes)"),
        ("bool_var", "_Bool (1 byte)"),
        ("mode_var", "enum mode (4 bytes)"),
        ("matrix", "__u64[2][3] (48 bytes)"),
        ("number", "union number (8 bytes)"),
        ("ptr_var", "void * (8 bytes)"),
        ("opaque_ptr", "struct opaque * (8 bytes)"),
        ("function_ptr", "function * (8 bytes)"),
        ("restrict_ptr", "__u8 * (8 bytes)"),
        ("tagged_ptr", "__u32 * (8 bytes)"),
        ("chained_var", "session_id (4 bytes)"),
        ("ro_msg", "char[10] (10 bytes)"),
    ],
)
def test_real_variables(variable: str, text: str) -> None:
    assert CollectionSpec.from_file(testdata("scalars")).variables[variable].describe() == text
