"""What annotations mean in C, and what is said of those that mean nothing."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Optional, Union  # fmt: skip
from typing import Literal as L

import pytest

from bpfmodel import (  # fmt: skip
    Align,
    Array,
    Bits,
    Bytes,
    CString,
    DeclarationError,
    Struct,
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
from bpfmodel.btf import kinds
from bpfmodel.btf.layout import size_of
from bpfmodel.types.lowering import lower


@pytest.mark.parametrize(
    ("annotation", "size", "signed"),
    [(u8, 1, False), (u16, 2, False), (u32, 4, False), (u64, 8, False), (u128, 16, False),
     (s8, 1, True), (s16, 2, True), (s32, 4, True), (s64, 8, True), (s128, 16, True)],
)  # fmt: skip
def test_integers(annotation: Any, size: int, signed: bool) -> None:
    type = lower(annotation)
    assert isinstance(type, kinds.Int)
    assert (type.size, type.signed, type.is_bool, type.is_char) == (size, signed, False, False)


def test_other_scalars() -> None:
    for annotation in (bool, boolean):
        type = lower(annotation)
        assert isinstance(type, kinds.Int) and type.is_bool and type.size == 1
    for annotation, size in ((f32, 4), (f64, 8)):
        type = lower(annotation)
        assert isinstance(type, kinds.Float) and type.size == size
    assert isinstance(lower(pointer), kinds.Ptr)


@pytest.mark.parametrize("annotation", [int, float, str, bytes, list, Any])
def test_loose(annotation: Any) -> None:
    type = lower(annotation)
    assert isinstance(type, kinds.Loose) and type.python is annotation


def test_containers() -> None:
    text, raw, array = lower(CString[L[13]]), lower(Bytes[L[6]]), lower(Array[Array[u32, L[3]], L[2]])
    assert isinstance(text, kinds.Array) and (text.length, text.python) == (13, str)
    assert isinstance(text.element, kinds.Int) and text.element.is_char
    assert isinstance(raw, kinds.Array) and (raw.length, raw.python) == (6, bytes)
    assert isinstance(array, kinds.Array) and isinstance(array.element, kinds.Array)
    assert (array.length, array.element.length, size_of(array)) == (2, 3, 24)


def test_extras_of_others_are_ignored() -> None:
    assert size_of(lower(Annotated[u32, "a counter"])) == 4
    assert size_of(lower(Annotated[CString[L[4]], "a name"])) == 4
    assert isinstance(lower(Annotated[int, "loose"]), kinds.Loose)


def test_an_alias_of_ones_own() -> None:
    from typing_extensions import TypeAliasType

    counter = TypeAliasType("counter", u64)
    name = TypeAliasType("name", CString[L[16]])
    assert size_of(lower(counter)) == 8
    assert size_of(lower(name)) == 16
    assert size_of(lower(Array[counter, L[2]])) == 16


# Enums, sized as clang sizes them


def made(members: dict[str, int], base: Any = enum.IntEnum) -> Any:
    return base("E", members)


@pytest.mark.parametrize(
    ("members", "size", "signed"),
    [
        ({"A": 0}, 4, False),
        ({"A": 0, "B": 2**31}, 4, False),
        ({"A": 2**32 - 1}, 4, False),
        ({"A": -1}, 4, True),
        ({"A": -(2**31), "B": 2**31 - 1}, 4, True),
        ({"A": -1, "B": 2**31}, 8, True),
        ({"A": -(2**31) - 1}, 8, True),
        ({"A": 2**32}, 8, False),
        ({"A": 2**64 - 1}, 8, False),
        ({"A": -(2**63), "B": 2**63 - 1}, 8, True),
    ],
)
def test_enum_size(members: dict[str, int], size: int, signed: bool) -> None:
    type = lower(made(members))
    assert isinstance(type, kinds.Enum)
    assert (type.size, type.signed, dict(type.enumerators)) == (size, signed, members)


def test_flags() -> None:
    type = lower(made({"A": 1, "B": 2, "ALL": 3}, enum.IntFlag))
    assert isinstance(type, kinds.Enum)
    assert dict(type.enumerators) == {"A": 1, "B": 2, "ALL": 3}


def test_aliases_of_enum_members_are_enumerators() -> None:
    class Mode(enum.IntEnum):
        ON = 1
        ENABLED = 1

    type = lower(Mode)
    assert isinstance(type, kinds.Enum)
    assert type.enumerators == (("ON", 1), ("ENABLED", 1))


@pytest.mark.parametrize(("width", "size", "signed"), [(u8, 1, False), (s8, 1, True), (u16, 2, False), (s64, 8, True)])
def test_enum_of_another_width(width: Any, size: int, signed: bool) -> None:
    type = lower(Annotated[made({"A": 0, "B": 100}), width])
    assert isinstance(type, kinds.Enum)
    assert (type.size, type.signed) == (size, signed)


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (Annotated[made({"A": 256}), u8], "E: members from 256 to 256 do not fit into 1 bytes"),
        (Annotated[made({"A": -1}), u8], "E: members from -1 to -1 do not fit"),
        (Annotated[made({"A": 128}), s8], "E: members from 128 to 128 do not fit"),
        (made({"A": 2**64}), "E: members from 18446744073709551616 to 18446744073709551616 do not fit into 8 bytes"),
        (made({"A": -1, "B": 2**63}), r"E: members from -1 to 9223372036854775808 do not fit"),
        (made({"A": "x"}, enum.Enum), "E is no integer enum: derive it from IntEnum or IntFlag"),
        (made({"A": 1}, enum.Enum), "E is no integer enum"),
        (enum.StrEnum("E", ["A"]), "E is no integer enum"),
    ],
)
def test_enums_that_no_c_has(annotation: Any, words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        lower(annotation)


@pytest.mark.parametrize("width", [f32, f64, boolean, pointer])
def test_an_enum_is_as_wide_as_an_integer(width: Any) -> None:
    with pytest.raises(DeclarationError, match="E"):
        lower(Annotated[made({"A": 0, "B": 1}), width])


# Refusals


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (None, "None is no value type: use u32"),
        ("u32", "u32 is no value type"),
        (object, "object is no value type"),
        (complex, "complex is no value type"),
        (type, "type is no value type"),
        (L[5], "Literal.5. is no value type"),
        (5, "5 is no value type"),
        ([], r"\[\] is no value type"),
        (Optional[u32], "is no value type"),  # noqa: UP045
        (Union[u32, u64], "is no value type"),  # noqa: UP007
        (u32 | None, "is no value type"),
        (list[int], r"list\[int\]: give the C type and its length, such as Array\[u32, L\[4\]\]"),
        (dict[str, int], "give the C type"),
        (tuple[u32, u32], "give the C type"),
        (Bits[u8, L[3]], "inside a Struct only"),
        (CString, "CString: the length is a positive integer, as in CString.L.16.."),
        (Bytes, "Bytes: the length is a positive integer"),
        (Array, "C type and its length"),
        (Array[u32, L["4"]], "the length is a positive integer"),
        (Array[u32, L[-1]], "the length is a positive integer"),
        (Array[u32, L[True]], "the length is a positive integer"),
        (Array[u32, L[1, 2]], "the length is a positive integer"),
        (Array[u32, int], "the length is a positive integer"),
        (CString[L[0]], "the length is a positive integer"),
        (CString[int], "the length is a positive integer"),
        (Bytes[L[0]], "the length is a positive integer"),
        (Array[int, L[4]], "the elements of an Array need a C type, such as u32"),
        (Array[str, L[4]], "the elements of an Array need a C type"),
        (Array[L[4], u32], "is no value type"),
        (Array[Array[u32, L[0]], L[2]], "the length is a positive integer"),
    ],
)  # fmt: skip
def test_refused(annotation: Any, words: str) -> None:
    with pytest.raises(DeclarationError, match=words) as caught:
        lower(annotation)
    assert isinstance(caught.value, TypeError)


def test_struct_itself_is_no_type() -> None:
    with pytest.raises(DeclarationError):
        lower(Struct)


# Refusals inside structs name the member


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, r"Holder.x: int has no C type, so it has no place in a struct: write one such as u32"),
        (float, "Holder.x: float has no C type, .* such as f64"),
        (str, r"Holder.x: str has no C type, .* such as CString\[L\[16\]\]"),
        (bytes, r"Holder.x: bytes has no C type, .* such as Bytes\[L\[6\]\]"),
        (list, "Holder.x: list has no C type"),
        (Any, "Holder.x: Any has no C type"),
        (object, "Holder.x: object is no value type"),
        (Bits[u8, L[9]], "x: a bitfield of 9 bits in a type of 8"),
        (Bits[u8, L[0]], "Holder.x: .*the length is a positive integer"),
        (Bits[int, L[3]], "Holder.x: "),
        (Annotated[u32, Align(3)], "x: an alignment is a power of two, not 3"),
        (Annotated[u32, Align(-4)], "x: an alignment is a power of two, not -4"),
    ],
)
def test_refused_members(annotation: Any, words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        type("Holder", (Struct,), {"__annotations__": {"x": annotation}})


@pytest.mark.parametrize("annotation", [f32, f64, pointer, CString[L[4]], Array[u8, L[4]]])
def test_a_bitfield_is_of_an_integer(annotation: Any) -> None:
    with pytest.raises(DeclarationError, match="x"):
        type("Holder", (Struct,), {"__annotations__": {"x": Bits[annotation, L[3]]}})


def test_a_struct_without_members() -> None:
    with pytest.raises(DeclarationError, match="Empty declares no member"):

        class Empty(Struct):
            pass
