"""Codecs of arrays: text, bytes, and lists."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from ..btf import kinds
from ..btf.kinds import strip
from ..btf.parse import ByteOrder
from ..errors import BpfTypeError, BpfValueError, shown
from .base import Buffer, Codec, Make
from .numbers import mark


def array_codec(type: kinds.Array, name: str, order: ByteOrder, make: Make) -> Codec:
    """Make the codec of an array: a str, bytes or a list, as the declaration asks or its elements suggest."""
    form = array_form(type)
    if form is str:
        return text_codec(type.length, name)
    if form is bytes:
        return raw_codec(type.length, name)
    inner = make(type.element)
    size, stride, length = inner.size * type.length, inner.size, type.length
    if not size:
        # No length, or elements without a size: there is nothing to read.
        return Codec(0, lambda buffer, offset: [], lambda value: _joined(value, 0, name, inner))
    if inner.format:
        packer = struct.Struct(f"{mark(order)}{length}{inner.format}")
        unpack, pack = packer.unpack_from, packer.pack

        def encode_numbers(value: Any) -> bytes:
            try:
                return pack(*_items(value, length, name))
            except struct.error:
                return _joined(value, length, name, inner)  # finds the one that is wrong

        return Codec(size, lambda buffer, offset: list(unpack(buffer, offset)), encode_numbers)

    def decode(buffer: Buffer, offset: int) -> list[Any]:
        step = inner.decode
        return [step(buffer, at) for at in range(offset, offset + size, stride)]

    return Codec(size, decode, lambda value: _joined(value, length, name, inner))


def array_form(type: kinds.Array) -> Any:
    """Return what values of an array are: str, bytes or list."""
    element = strip(type.element)
    if isinstance(element, kinds.Int) and element.size == 1 and not element.is_bool:
        if type.python is None:
            return str if element.is_char else list if element.signed else bytes
        return type.python
    return list


def _items(value: Any, length: int, name: str) -> Sequence[Any]:
    if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__len__") or not hasattr(value, "__iter__"):
        raise BpfTypeError(f"{shown(value)} is no list, and {name} takes one of {length}")
    items = tuple(value)  # what is counted is what is stored, whatever another thread does to the list
    if len(items) != length:
        raise BpfValueError(f"{len(items)} values for {name}, which takes exactly {length}")
    return items


def _joined(value: Any, length: int, name: str, inner: Codec) -> bytes:
    parts = []
    for index, item in enumerate(_items(value, length, name)):
        try:
            parts.append(inner.encode(item))
        except BpfValueError as error:
            raise error.within(f"[{index}]") from None
    return b"".join(parts)


def text_of(raw: bytes) -> str:
    """Return the text up to the first NUL."""
    end = raw.find(b"\0")
    return (raw if end < 0 else raw[:end]).decode("utf-8", "surrogateescape")


def text_codec(length: int, name: str) -> Codec:
    """Make the codec of an array of char as text."""

    def encode(value: Any) -> bytes:
        if not isinstance(value, str):
            raise BpfTypeError(f"{shown(value)} is no str, and {name} takes one")
        try:
            raw = value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise BpfValueError(f"{shown(value)} cannot be encoded as UTF-8: {error.reason}") from None
        if b"\0" in raw:
            raise BpfValueError(f"{shown(value)} holds a NUL, where {name} would end")
        if len(raw) > length:
            raise BpfValueError(f"{len(raw)} bytes of text are too long for {name}, which has {length}")
        return raw.ljust(length, b"\0")

    return Codec(length, lambda buffer, offset: text_of(bytes(buffer[offset : offset + length])), encode)


def raw_codec(length: int, name: str) -> Codec:
    """Make the codec of exact bytes."""

    def encode(value: Any) -> bytes:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise BpfTypeError(f"{shown(value)} is no bytes, and {name} takes exactly {length}")
        raw = bytes(value)
        if len(raw) != length:
            raise BpfValueError(f"{len(raw)} bytes for {name}, which takes exactly {length}")
        return raw

    return Codec(length, lambda buffer, offset: bytes(buffer[offset : offset + length]), encode)
