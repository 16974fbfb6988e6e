"""Which annotation matches which C type: every strict one against every variable, and every loose one."""

import enum
from typing import Annotated, Any  # fmt: skip
from typing import Literal as L

import pytest
from support.data import testdata
from support.objects import ObjectBuilder

from bpfmodel import (
    Array,
    BpfObjects,
    Bytes,
    CollectionSpec,
    CString,
    HashMap,
    MismatchError,
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

SCALARS = CollectionSpec.from_file(testdata("scalars"))
ENUM64 = CollectionSpec.from_file(testdata("enum64"))


class Mode(enum.IntEnum):
    MODE_OFF = 0
    MODE_ON = 1
    MODE_AUTO = 7


class Level(enum.IntEnum):
    LEVEL_LOW = -3
    LEVEL_ZERO = 0
    LEVEL_HIGH = 3


class Stats(Struct):
    packets: u64
    bytes: u64
    drops: u32
    mode: u8


STRICT: dict[Any, set[str]] = {
    u8: {"u8_var", "tiny_var"},
    u16: {"u16_var"},
    u32: {"u32_var", "mode_var", "level_var", "chained_var", "tagged_var"},
    u64: {"u64_var"},
    u128: {"u128_var"},
    s8: {"s8_var", "char_var", "tiny_var"},
    s16: {"s16_var"},
    s32: {"s32_var", "mode_var", "level_var"},
    s64: {"s64_var"},
    s128: {"s128_var"},
    boolean: {"bool_var"},
    bool: {"bool_var"},
    f32: {"float_var"},
    f64: {"double_var"},
    pointer: {"ptr_var"},
    Mode: {"mode_var"},
    Level: {"level_var"},
    CString[L[13]]: {"msg"},
    Bytes[L[13]]: {"msg"},
    CString[L[6]]: set(),
    Bytes[L[6]]: {"mac"},
    Array[u8, L[6]]: {"mac"},
    Array[s8, L[13]]: {"msg"},
    Array[u32, L[4]]: {"arr"},
    Array[s32, L[4]]: set(),
    Array[u64, L[2]]: set(),
    Array[Array[u64, L[3]], L[2]]: {"matrix"},
    Array[Array[u64, L[2]], L[3]]: set(),
    Array[u64, L[6]]: set(),
    Array[boolean, L[3]]: {"flags"},
    Array[u8, L[3]]: set(),
    Bytes[L[3]]: set(),
    Stats: {"stats"},
    Bytes[L[24]]: set(),
}
LOOSE: dict[Any, set[str]] = {
    int: {
        "u8_var", "u16_var", "u32_var", "u64_var", "u128_var", "s8_var", "s16_var", "s32_var", "s64_var", "s128_var",
        "char_var", "mode_var", "level_var", "tiny_var", "ptr_var", "chained_var", "tagged_var",
    },
    float: {"float_var", "double_var"},
    str: {"msg"},
    bytes: {"msg", "mac", "stats", "nested", "number", "bits", "wire"},
    list: {"msg", "mac", "arr", "matrix", "flags"},
}  # fmt: skip
DATA = sorted(name for name, spec in SCALARS.variables.items() if spec.section == ".data")
LOOSE[Any] = set(DATA)


def matches(annotation: Any, name: str, spec: CollectionSpec) -> bool:
    try:
        type("Objects", (BpfObjects,), {"__annotations__": {name: Var[annotation]}}).check(spec)  # type: ignore[attr-defined]
    except MismatchError as error:
        return any(not finding.path.startswith(name) for finding in error.findings)
    return True


def test_the_tables_name_what_there_is() -> None:
    assert set().union(*STRICT.values(), *LOOSE.values()) == set(DATA)


@pytest.mark.parametrize("annotation", [*STRICT, *LOOSE], ids=str)
def test_annotation_against_every_variable(annotation: Any) -> None:
    expected = (STRICT | LOOSE)[annotation]
    assert {name for name in DATA if matches(annotation, name, SCALARS)} == expected


def test_equal_size_is_never_enough() -> None:
    builder = ObjectBuilder()
    btf = builder.btf
    types = {
        u64: (btf.common("__u64"), 8),
        s64: (btf.int_("long", 8, 1), 8),
        f64: (btf.float_("double", 8), 8),
        pointer: (btf.ptr(0), 8),
        Bytes[L[8]]: (btf.array(btf.int_("unsigned char", 1), 8), 8),
        Array[u32, L[2]]: (btf.array(btf.common("__u32"), 2), 8),
        Array[u16, L[4]]: (btf.array(btf.int_("unsigned short", 2), 4), 8),
    }

    class Pair(Struct):
        low: u32
        high: u32

    types[Pair] = (btf.struct("pair", 8, [("low", btf.common("__u32"), 0), ("high", btf.common("__u32"), 32)]), 8)
    for number, (type_id, size) in enumerate(types.values()):
        builder.variable(f"v{number}", type_id, size)
    spec = CollectionSpec.from_bytes(builder.build())
    for index, annotation in enumerate(types):
        assert [number for number in range(len(types)) if matches(annotation, f"v{number}", spec)] == [index], (
            annotation
        )


def test_the_hint_says_why_equal_size_is_not_enough() -> None:
    class Objects(BpfObjects):
        u32_var: Var[s32]
        s32_var: Var[u32]
        bool_var: Var[u8]
        u8_var: Var[boolean]
        u64_var: Var[f64]
        ptr_var: Var[u64]

    with pytest.raises(MismatchError) as caught:
        Objects.check(SCALARS)
    assert {finding.path: finding.hint for finding in caught.value.findings} == {
        "u32_var": "it is unsigned; declare u32",
        "s32_var": "it is signed; declare s32",
        "bool_var": "one is bool, the other an integer; declare boolean",
        "u8_var": "one is bool, the other an integer; declare u8",
        "u64_var": "declare u64",
        "ptr_var": "declare pointer",
    }


def test_loose_annotations_say_what_does_not_convert() -> None:
    class Objects(BpfObjects):
        u32_var: Var[str]
        msg: Var[int]
        bool_var: Var[int]
        double_var: Var[int]
        stats: Var[list]  # type: ignore[type-arg]

    with pytest.raises(MismatchError) as caught:
        Objects.check(SCALARS)
    assert {finding.path: finding.hint for finding in caught.value.findings} == {
        "u32_var": "str does not convert to it",
        "msg": "int does not convert to it",
        "bool_var": "int does not convert to it",
        "double_var": "int does not convert to it",
        "stats": "list does not convert to it",
    }
    assert "u32_var: declared str, found __u32 (4 bytes) in .data" in str(caught.value)


def test_typedefs_and_qualifiers_are_transparent() -> None:
    builder = ObjectBuilder()
    btf = builder.btf
    base = btf.common("__u32")
    qualified = {
        "typedefs": btf.typedef("a", btf.typedef("b", base)),
        "const_volatile": btf.const(btf.volatile(base)),
        "mixed": btf.typedef("c", btf.const(btf.typedef("d", btf.volatile(btf.typedef("e", base))))),
        "tagged": btf.type_tag("mine", base),
        "restricted": btf.restrict(base),
    }
    for name, type_id in qualified.items():
        builder.variable(name, type_id, 4)
    inside = btf.struct("s", 8, [("a", qualified["mixed"], 0), ("b", qualified["typedefs"], 32)])
    builder.variable("members", btf.typedef("t", btf.const(inside)), 8)
    builder.variable("elements", btf.array(qualified["mixed"], 3), 12)
    builder.map("keyed", 1, qualified["mixed"], btf.typedef("t2", btf.volatile(inside)), 4)

    class Pair(Struct):
        a: u32
        b: u32

    spec = CollectionSpec.from_bytes(builder.build())
    for name in qualified:
        assert matches(u32, name, spec)
        assert matches(int, name, spec)
        assert not matches(s32, name, spec)
        assert not matches(u64, name, spec)
    assert matches(Pair, "members", spec)
    assert matches(Array[u32, L[3]], "elements", spec)

    class Objects(BpfObjects):
        keyed: HashMap[u32, Pair]

    assert Objects.check(spec) == ()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("chained_var", "session_id (4 bytes)"),
        ("mode_var", "enum mode (4 bytes)"),
        ("msg", "char[13] (13 bytes)"),
        ("matrix", "__u64[2][3] (48 bytes)"),
        ("stats", "struct stats (24 bytes)"),
        ("number", "union number (8 bytes)"),
        ("ptr_var", "void * (8 bytes)"),
        ("double_var", "double (8 bytes)"),
        ("function_ptr", "function * (8 bytes)"),
        ("opaque_ptr", "struct opaque * (8 bytes)"),
    ],
)
def test_the_found_type_is_named_as_in_c(name: str, found: str) -> None:
    objects: Any = type("Objects", (BpfObjects,), {"__annotations__": {name: Var[u16]}})
    with pytest.raises(MismatchError) as caught:
        objects.check(SCALARS)
    assert f"found {found} in " in caught.value.findings[0].message


def test_enumerators_are_compared_by_name_and_value() -> None:
    class Other(enum.IntEnum):
        MODE_OFF = 0
        MODE_ON = 2
        MODE_AUT = 7

    class Objects(BpfObjects):
        mode_var: Var[Other]

    with pytest.raises(MismatchError) as caught:
        Objects.check(SCALARS)
    found = {finding.path: (finding.message, finding.hint) for finding in caught.value.findings}
    assert found == {
        "mode_var.MODE_ON": ("declared 2, found 1", ""),
        "mode_var.MODE_AUT": ("declared 7, no such enumerator in enum mode", "a close match is MODE_AUTO"),
    }


def test_enums_of_other_widths() -> None:
    class Tiny(enum.IntEnum):
        TINY_A = 1
        TINY_B = 2

    assert matches(Annotated[Tiny, u8], "tiny_var", SCALARS)
    assert not matches(Tiny, "tiny_var", SCALARS)
    assert not matches(Annotated[Tiny, u16], "tiny_var", SCALARS)
    assert not matches(Annotated[Mode, u64], "mode_var", SCALARS)


def test_enums_of_eight_bytes() -> None:
    assert matches(u64, "wide_var", ENUM64)
    assert matches(int, "wide_var", ENUM64)
    assert not matches(u32, "wide_var", ENUM64)
    assert matches(s64, "wide_signed_var", ENUM64)
    assert not matches(Mode, "wide_var", ENUM64)


def test_loose_values_are_packed_as_the_object_says() -> None:
    class Objects(BpfObjects):
        u16_var: Var[int]
        s8_var: Var[int]
        float_var: Var[float]
        msg: Var[str]
        mac: Var[bytes]
        arr: Var[list]  # type: ignore[type-arg]
        stats: Var[Any]
        wire: Var[bytes]

    opened: Any = Objects.open(SCALARS)
    assert opened.get(Objects.u16_var) == 0xBEEF
    assert opened.get(Objects.s8_var) == -100
    assert opened.get(Objects.float_var) == 3.25
    assert opened.get(Objects.msg) == "Hello World!"
    assert opened.get(Objects.mac) == bytes.fromhex("0242AC110001")
    assert opened.get(Objects.arr) == [1, 2, 3, 4]
    assert opened.get(Objects.stats) == {"packets": 11, "bytes": 2222, "drops": 33, "mode": 4}
    assert opened.get(Objects.wire) == bytes.fromhex("0104030201f401")
    with pytest.raises(ValueError, match=r"u16_var: 65536 is out of range for __u16 \(0 to 65535\)"):
        opened.set(Objects.u16_var, 65536)


def test_text_as_bytes_and_bytes_as_list() -> None:
    class Objects(BpfObjects):
        msg: Var[bytes]
        mac: Var[list]  # type: ignore[type-arg]

    opened: Any = Objects.open(SCALARS)
    assert opened.get(Objects.msg) == b"Hello World!\0"
    assert opened.get(Objects.mac) == [2, 0x42, 0xAC, 0x11, 0, 1]
