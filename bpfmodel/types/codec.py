"""Packs Python values into bytes and back, for any BTF type. A codec is made once per type and byte order.

`decode` trusts its buffer to be long enough, which whoever made the buffer has checked; `encode` trusts nothing, and
returns bytes only if all of the value fits, so that a write is never half done.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ..btf import kinds
from ..btf.compare import reachable
from ..btf.parse import ByteOrder
from ..btf.render import c_name
from ..errors import BpfTypeError, BpfValueError, SourceError

Buffer = bytes | bytearray | memoryview


class Codec(NamedTuple):
    """How values of one type become bytes and back.

    `format` is the letter of `struct` and `memoryview.cast` where the whole value is one plain number of this machine's
    byte order: then ``view.cast(format)[0]`` reads it without any call.
    """

    size: int
    decode: Callable[[Buffer, int], Any]
    encode: Callable[[Any], bytes]
    format: str = ""


_INTS = {(1, False): "B", (2, False): "H", (4, False): "I", (8, False): "Q",
         (1, True): "b", (2, True): "h", (4, True): "i", (8, True): "q"}  # fmt: skip
_FLOATS = {2: "e", 4: "f", 8: "d"}


def codec_for(type: kinds.Type, order: ByteOrder) -> Codec:
    """Make the codec of a type.

    Raises:
        SourceError: the type has no values: void, a function, a struct that is only declared, a 10-byte float.
    """
    bare = kinds.strip(type)
    if isinstance(bare, kinds.Int):
        return _bool() if bare.is_bool else _int(c_name(type), bare.size, bare.signed, order)
    if isinstance(bare, kinds.Ptr):
        return _int(c_name(type), 8, False, order)
    if isinstance(bare, kinds.Float):
        return _float(bare, c_name(type), order)
    if isinstance(bare, kinds.Enum):
        return _enum(bare, c_name(type), order)
    if isinstance(bare, kinds.Array):
        return _array(bare, c_name(type), order)
    if isinstance(bare, kinds.Struct):
        return _struct(bare, order)
    if isinstance(bare, kinds.Union):
        return _raw(bare.size, c_name(type))
    raise SourceError(f"{c_name(type)} has no values")


def _mark(order: ByteOrder) -> str:
    return "<" if order == "little" else ">"


def _refuse_number(value: Any, name: str, low: int, high: int) -> BpfValueError:
    if not hasattr(value, "__index__"):
        return BpfTypeError(f"{value!r} is no integer, and {name} takes one from {low} to {high}")
    return BpfValueError(f"{value} is out of range for {name} ({low} to {high})")


def bounds(size: int, signed: bool) -> tuple[int, int]:
    """Return the least and the greatest integer of `size` bytes."""
    return (-(1 << size * 8 - 1), (1 << size * 8 - 1) - 1) if signed else (0, (1 << size * 8) - 1)


def _int(name: str, size: int, signed: bool, order: ByteOrder) -> Codec:
    low, high = bounds(size, signed)
    if size == 16:

        def decode_wide(buffer: Buffer, offset: int) -> int:
            return int.from_bytes(buffer[offset : offset + 16], order, signed=signed)

        def encode_wide(value: Any) -> bytes:
            try:
                return int.to_bytes(value.__index__(), 16, order, signed=signed)
            except (AttributeError, OverflowError, TypeError):
                raise _refuse_number(value, name, low, high) from None

        return Codec(16, decode_wide, encode_wide)
    packer = struct.Struct(_mark(order) + _INTS[size, signed])
    unpack, pack = packer.unpack_from, packer.pack

    def decode(buffer: Buffer, offset: int) -> int:
        return unpack(buffer, offset)[0]  # type: ignore[no-any-return]

    def encode(value: Any) -> bytes:
        try:
            return pack(value)
        except struct.error:
            raise _refuse_number(value, name, low, high) from None

    return Codec(size, decode, encode, _native(_INTS[size, signed], order))


def _native(letter: str, order: ByteOrder) -> str:
    return letter if struct.pack("=H", 1) == struct.pack(_mark(order) + "H", 1) else ""


def _bool() -> Codec:
    def encode(value: Any) -> bytes:
        if value is True or value is False:
            return b"\1" if value else b"\0"
        raise BpfTypeError(f"{value!r} is no bool: give True or False")

    # Not memoryview's "?": it would take any object as a truth value when written.
    return Codec(1, lambda buffer, offset: buffer[offset] != 0, encode)


def _float(type: kinds.Float, name: str, order: ByteOrder) -> Codec:
    if type.size not in _FLOATS:
        raise SourceError(f"{name} has {type.size} bytes, and no Python value")
    packer = struct.Struct(_mark(order) + _FLOATS[type.size])
    unpack, pack = packer.unpack_from, packer.pack

    def encode(value: Any) -> bytes:
        try:
            return pack(value)
        except OverflowError:
            raise BpfValueError(f"{value} is out of range for {name}") from None
        except struct.error:
            raise BpfTypeError(f"{value!r} is no number, and {name} takes one") from None

    # Not for "f": memoryview would store what is out of range as infinity.
    format = _native("d", order) if type.size == 8 else ""
    return Codec(type.size, lambda buffer, offset: unpack(buffer, offset)[0], encode, format)


def _enum(type: kinds.Enum, name: str, order: ByteOrder) -> Codec:
    plain = _int(name, type.size, type.signed, order)
    if type.python is None:
        return plain
    cls = type.python

    def decode(buffer: Buffer, offset: int) -> Any:
        value = plain.decode(buffer, offset)
        try:
            return cls(value)
        except ValueError:  # the program may store what the enum does not name
            return value

    return Codec(type.size, decode, plain.encode)


def _array(type: kinds.Array, name: str, order: ByteOrder) -> Codec:
    element = kinds.strip(type.element)
    if isinstance(element, kinds.Int) and element.size == 1 and not element.is_bool:
        if type.python is str or (type.python is None and element.is_char):
            return _text(type.length, name)
        if type.python is bytes or (type.python is None and not element.signed):
            return _raw(type.length, name)
    inner = codec_for(type.element, order)
    if not inner.size or not type.length:
        return Codec(0, lambda buffer, offset: [], lambda value: b"".join(_items(value, 0, name)))
    size, stride, length = inner.size * type.length, inner.size, type.length
    if inner.format:
        packer = struct.Struct(f"{_mark(order)}{length}{inner.format}")
        unpack, pack = packer.unpack_from, packer.pack

        def encode_numbers(value: Any) -> bytes:
            try:
                return pack(*_items(value, length, name))
            except struct.error:
                return encode(value)  # finds the one that is wrong

        def encode(value: Any) -> bytes:
            return _joined(value, length, name, inner)

        return Codec(size, lambda buffer, offset: list(unpack(buffer, offset)), encode_numbers)

    def decode(buffer: Buffer, offset: int) -> list[Any]:
        step = inner.decode
        return [step(buffer, at) for at in range(offset, offset + size, stride)]

    return Codec(size, decode, lambda value: _joined(value, length, name, inner))


def _items(value: Any, length: int, name: str) -> Sequence[Any]:
    if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__len__") or not hasattr(value, "__iter__"):
        raise BpfTypeError(f"{value!r} is no list, and {name} takes one of {length}")
    if len(value) != length:
        raise BpfValueError(f"{len(value)} values for {name}, which takes exactly {length}")
    return value  # type: ignore[no-any-return]


def _joined(value: Any, length: int, name: str, inner: Codec) -> bytes:
    parts = []
    for index, item in enumerate(_items(value, length, name)):
        try:
            parts.append(inner.encode(item))
        except BpfValueError as error:
            raise error.within(f"[{index}]") from None
    return b"".join(parts)


def _text(length: int, name: str) -> Codec:
    def decode(buffer: Buffer, offset: int) -> str:
        raw = bytes(buffer[offset : offset + length])
        end = raw.find(b"\0")
        return (raw if end < 0 else raw[:end]).decode("utf-8", "surrogateescape")

    def encode(value: Any) -> bytes:
        if not isinstance(value, str):
            raise BpfTypeError(f"{value!r} is no str, and {name} takes one")
        try:
            raw = value.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise BpfValueError(f"{value!r} cannot be encoded as UTF-8: {error.reason}") from None
        if b"\0" in raw:
            raise BpfValueError(f"{value!r} holds a NUL, where {name} would end")
        if len(raw) > length:
            raise BpfValueError(f"{len(raw)} bytes of text are too long for {name}, which has {length}")
        return raw.ljust(length, b"\0")

    return Codec(length, decode, encode)


def _raw(length: int, name: str) -> Codec:
    def encode(value: Any) -> bytes:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise BpfTypeError(f"{value!r} is no bytes, and {name} takes exactly {length}")
        raw = bytes(value)
        if len(raw) != length:
            raise BpfValueError(f"{len(raw)} bytes for {name}, which takes exactly {length}")
        return raw

    return Codec(length, lambda buffer, offset: bytes(buffer[offset : offset + length]), encode)


class _Part(NamedTuple):
    """A member as the struct codec sees it: bytes from `offset`, through `codec`; a bitfield goes by `bits`."""

    attribute: str
    offset: int
    codec: Codec
    bits: tuple[int, int, int, bool] | None = None
    """(bytes that hold it, bits to shift right, width, signed)."""


def _struct(type: kinds.Struct, order: ByteOrder) -> Codec:
    parts = [_part(member.attribute, member.type, member.offset, member.bits, order) for member in reachable(type)]
    size, cls, name = type.size, type.python, c_name(type)
    for part in parts:
        if part.offset + (part.bits[0] if part.bits else part.codec.size) > size:
            raise SourceError(f"{name}: member {part.attribute} lies beyond its {size} bytes")

    def values(buffer: Buffer, offset: int) -> dict[str, Any]:
        return {
            part.attribute: _get_bits(buffer, offset + part.offset, part.bits, order)
            if part.bits
            else part.codec.decode(buffer, offset + part.offset)
            for part in parts
        }

    def decode(buffer: Buffer, offset: int) -> Any:
        made = object.__new__(cls)
        made.__dict__.update(values(buffer, offset))
        return made

    known = {part.attribute for part in parts}

    def encode(value: Any) -> bytes:
        fields = _fields(value, known, name, cls)
        raw = bytearray(size)
        for part in parts:
            try:
                if part.bits:
                    _put_bits(raw, part.offset, part.bits, fields[part.attribute], name, order)
                else:
                    raw[part.offset : part.offset + part.codec.size] = part.codec.encode(fields[part.attribute])
            except BpfValueError as error:
                raise error.within(part.attribute) from None
        return bytes(raw)

    return Codec(size, decode if cls else values, encode)


def _fields(value: Any, known: set[str], name: str, cls: Any) -> Mapping[str, Any]:
    if cls is not None and not isinstance(value, (cls, Mapping)):
        raise BpfTypeError(f"{value!r} is no {cls.__name__}")
    fields = value if isinstance(value, Mapping) else getattr(value, "__dict__", {})
    if fields.keys() != known:
        missing, extra = known - fields.keys(), fields.keys() - known
        told = [f"lacks {', '.join(sorted(missing))}"] if missing else []
        told += [f"has no member {', '.join(sorted(map(str, extra)))}"] if extra else []
        raise BpfTypeError(f"{value!r} does not fit {name}: {' and '.join(told)}")
    return fields


def _part(attribute: str, type: kinds.Type, offset: int, bits: int, order: ByteOrder) -> _Part:
    codec = codec_for(type, order)
    if not bits:
        if offset % 8:
            raise SourceError(f"member {attribute} lies at bit {offset}, and is no bitfield")
        return _Part(attribute, offset // 8, codec)
    bare = kinds.strip(type)
    first, last = offset // 8, (offset + bits - 1) // 8
    span = last - first + 1
    # Bit 0 is the lowest bit of the first byte in little-endian BTF, and the highest in big-endian BTF.
    shift = offset - first * 8 if order == "little" else span * 8 - (offset - first * 8) - bits
    return _Part(attribute, first, codec, (span, shift, bits, bool(getattr(bare, "signed", False))))


def _get_bits(buffer: Buffer, offset: int, bits: tuple[int, int, int, bool], order: ByteOrder) -> int:
    span, shift, width, signed = bits
    value = int.from_bytes(buffer[offset : offset + span], order) >> shift & (1 << width) - 1
    return value - (1 << width) if signed and value >> width - 1 else value


def _put_bits(
    raw: bytearray, offset: int, bits: tuple[int, int, int, bool], value: Any, name: str, order: ByteOrder
) -> None:
    span, shift, width, signed = bits
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    if not hasattr(value, "__index__") or not low <= value.__index__() <= high:
        raise _refuse_number(value, f"a bitfield of {width} bits", low, high)
    whole = int.from_bytes(raw[offset : offset + span], order)
    whole = whole & ~((1 << width) - 1 << shift) | (value.__index__() & (1 << width) - 1) << shift
    raw[offset : offset + span] = whole.to_bytes(span, order)
