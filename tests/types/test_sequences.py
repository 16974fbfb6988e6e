"""Text, bytes and lists: lengths, encodings, and where a refused value went wrong."""

from __future__ import annotations

from typing import Any  # fmt: skip
from typing import Literal as L

import pytest

from bpfmodel import Array, BpfTypeError, BpfValueError, Bytes, CString, Struct, boolean, f32, s16, u8, u16, u32, u128
from bpfmodel.btf import kinds
from bpfmodel.btf.parse import ByteOrder
from bpfmodel.types.base import Codec
from bpfmodel.types.codec import codec_for
from bpfmodel.types.lowering import lower


def codec(annotation: Any, order: ByteOrder = "little") -> Codec:
    return codec_for(lower(annotation), order)


TEXT = codec(CString[L[8]])


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        ("", bytes(8)),
        ("abc", b"abc\0\0\0\0\0"),
        ("seventh", b"seventh\0"),
        ("eighteen", b"eighteen"),  # no room for a NUL is C's way too: char x[8] = "eighteen"
        ("größe", "größe".encode() + b"\0"),
        ("\udcff\udc80x", b"\xff\x80x\0\0\0\0\0"),
        ("日本", "日本".encode() + b"\0\0"),
    ],
)
def test_text(value: str, raw: bytes) -> None:
    assert TEXT.encode(value) == raw
    assert TEXT.decode(raw, 0) == value


def test_text_ends_at_the_first_nul() -> None:
    assert TEXT.decode(b"ab\0cdefg", 0) == "ab"
    assert TEXT.decode(b"....ab\0\xff\xff\xff\xff\xff", 4) == "ab"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("nine chars", r"10 bytes of text are too long for char\[8\], which has 8"),
        ("größegrö", "11 bytes of text are too long"),
        ("a\0b", "holds a NUL, where char.8. would end"),
        ("\0", "holds a NUL"),
        ("\ud800", "cannot be encoded as UTF-8"),
    ],
)
def test_refused_text(value: str, words: str) -> None:
    with pytest.raises(BpfValueError, match=words) as caught:
        TEXT.encode(value)
    assert not isinstance(caught.value, TypeError)


@pytest.mark.parametrize("value", [b"abc", None, 5, ["a"], bytearray(b"x")])
def test_no_text(value: Any) -> None:
    with pytest.raises(BpfTypeError, match=r"is no str, and char\[8\] takes one"):
        TEXT.encode(value)


RAW = codec(Bytes[L[6]])


@pytest.mark.parametrize("value", [b"\0\1\2\3\4\xff", bytearray(6), memoryview(b"abcdef")])
def test_bytes(value: Any) -> None:
    assert RAW.encode(value) == bytes(value)
    back = RAW.decode(b"??" + bytes(value), 2)
    assert back == bytes(value) and type(back) is bytes


@pytest.mark.parametrize("value", [b"", b"12345", b"1234567"])
def test_bytes_are_exact(value: bytes) -> None:
    with pytest.raises(BpfValueError, match=rf"{len(value)} bytes for u8\[6\], which takes exactly 6"):
        RAW.encode(value)


@pytest.mark.parametrize("value", ["abcdef", [0] * 6, None, 6])
def test_no_bytes(value: Any) -> None:
    with pytest.raises(BpfTypeError, match=r"is no bytes, and u8\[6\] takes exactly 6"):
        RAW.encode(value)


# Lists


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Array[u8, L[3]], [0, 1, 255]),
        (Array[u16, L[2]], [0x1234, 0xFFFF]),
        (Array[s16, L[2]], [-1, -32768]),
        (Array[u128, L[2]], [1, 2**128 - 1]),
        (Array[boolean, L[3]], [True, False, True]),
        (Array[f32, L[2]], [0.5, -1.0]),
        (Array[Array[u16, L[3]], L[2]], [[1, 2, 3], [4, 5, 0xFFFF]]),
        (Array[CString[L[4]], L[2]], ["ab", "wxyz"]),
        (Array[Bytes[L[2]], L[2]], [b"ab", b"\0\xff"]),
    ],
)
def test_lists(annotation: Any, value: list[Any], order: ByteOrder) -> None:
    made = codec(annotation, order)
    raw = made.encode(value)
    assert len(raw) == made.size
    assert made.decode(b"\xff" * 5 + raw, 5) == value
    assert made.encode(tuple(value)) == raw
    inner = codec_for(lower(annotation).element, order)  # type: ignore[attr-defined]
    assert raw == b"".join(inner.encode(item) for item in value), "one after the other, the first one first"


FOUR = codec(Array[u32, L[4]])


@pytest.mark.parametrize("value", [[], [1, 2, 3], [1, 2, 3, 4, 5]])
def test_lists_are_exact(value: list[int]) -> None:
    with pytest.raises(BpfValueError, match=rf"{len(value)} values for u32\[4\], which takes exactly 4"):
        FOUR.encode(value)


@pytest.mark.parametrize("value", ["abcd", b"abcd", 4, None, {1: 2}, iter([1, 2, 3, 4])])
def test_no_list(value: Any) -> None:
    with pytest.raises(BpfTypeError, match=r"is no list, and u32\[4\] takes one of 4"):
        FOUR.encode(value)


def test_sequences_that_can_be_read_twice_are_lists() -> None:
    assert FOUR.encode(range(4)) == FOUR.encode([0, 1, 2, 3])


def test_a_refused_element_is_named() -> None:
    with pytest.raises(BpfValueError) as caught:
        FOUR.encode([1, 2, -3, 4])
    assert caught.value.path == "[2]"
    assert str(caught.value) == "[2]: -3 is out of range for u32 (0 to 4294967295)"


def test_a_refused_element_deep_inside_is_named() -> None:
    class Point(Struct):
        x: Array[u8, L[2]]

    with pytest.raises(BpfValueError) as caught:
        codec(Array[Array[Point, L[1]], L[2]]).encode([[{"x": [0, 0]}], [{"x": [0, 256]}]])
    assert caught.value.path == "[1][0].x[1]"


def test_a_refused_element_of_another_type_is_a_type_error() -> None:
    with pytest.raises(BpfTypeError, match=r"^\[1\]: 'b' is no integer"):
        FOUR.encode([1, "b", 3, 4])


# What an object's arrays are where no declaration says so


@pytest.mark.parametrize(
    ("element", "value"),
    [
        (kinds.Int("char", 1, kinds.SIGNED), "abc"),
        (kinds.Typedef("name_t", kinds.Const("", kinds.Int("char", 1, kinds.SIGNED))), "abc"),
        (kinds.Int("unsigned char", 1), b"abc"),
        (kinds.Int("signed char", 1, kinds.SIGNED), [97, 98, 99]),
        (kinds.Int("_Bool", 1, kinds.BOOL), [True, True, True]),
        (kinds.Enum("tiny", 1, False, ()), [97, 98, 99]),
    ],
)
def test_natural_form(element: kinds.Type, value: Any) -> None:
    made = codec_for(kinds.Array(element, 3), "little")
    assert made.decode(b"abc", 0) == value
    assert made.decode(made.encode(value), 0) == value


@pytest.mark.parametrize("length", [0, 1, 0xFFFFFFFF])
def test_elements_without_size(length: int) -> None:
    """However many: there is nothing to read, and no time is spent on it."""
    empty = kinds.Struct("empty", 0, ())
    made = codec_for(kinds.Array(empty, length), "little")
    assert (made.size, made.decode(b"", 0), made.encode([])) == (0, [], b"")


def test_no_elements() -> None:
    made = codec_for(kinds.Array(kinds.Int("u32", 4), 0), "little")
    assert (made.size, made.decode(b"", 0), made.encode([])) == (0, [], b"")
    with pytest.raises(BpfValueError, match=r"1 values for u32\[0\], which takes exactly 0"):
        made.encode([1])
