"""Codecs of structs: their members in their places, bitfields among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..btf import kinds
from ..btf.compare import MAX_MEMBERS
from ..btf.parse import ByteOrder
from ..btf.render import c_name
from ..errors import BpfTypeError, BpfValueError, SourceError, shown
from .base import Buffer, Codec, Make
from .bitfields import Bitfield
from .compiled import TooLarge, named_members, struct_decoder


class _Part(NamedTuple):
    """A member as the struct codec sees it: bytes from `offset`, through `codec`; a bitfield goes by `bits`."""

    attribute: str
    offset: int
    codec: Codec
    bits: Bitfield | None = None


def struct_codec(type: kinds.Struct, order: ByteOrder, make: Make) -> Codec:
    """Make the codec of a struct: instances of its Python class, or dicts by member name."""
    size, cls, name = type.size, type.python, c_name(type)
    parts = [_part(*member, order, make) for member in named_members(type)]
    for part in parts:
        if part.offset + (part.bits.span if part.bits else part.codec.size) > size:
            raise SourceError(f"{name}: member {part.attribute} lies beyond its {size} bytes")

    def values(buffer: Buffer, offset: int) -> dict[str, Any]:
        return {
            part.attribute: part.bits.get(buffer, offset)
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
                    part.bits.put(raw, 0, fields[part.attribute])
                else:
                    raw[part.offset : part.offset + part.codec.size] = part.codec.encode(fields[part.attribute])
            except BpfValueError as error:
                raise error.within(part.attribute) from None
        return bytes(raw)

    if cls is None:
        if _leaves(type, {}) > MAX_MEMBERS:
            raise SourceError(f"{name} has more than {MAX_MEMBERS} members, those of nested structs included")
        return Codec(size, values, encode)
    if getattr(cls, "__bpf_made__", type) is not type:
        return Codec(size, decode, encode)  # one of many lengths of a flexible member: not worth compiling each
    try:
        return Codec(size, struct_decoder(type, order, make), encode)
    except TooLarge:
        return Codec(size, decode, encode)


def _leaves(type: kinds.Type, known: dict[int, int]) -> int:
    """Count the values inside a struct; hostile BTF holds one struct in another twice, and so on, in the same bytes."""
    bare = kinds.strip(type)
    if isinstance(bare, kinds.Array):
        return _leaves(bare.element, known)
    if not isinstance(bare, kinds.Composite):
        return 1
    if id(bare) not in known:
        known[id(bare)] = sum(_leaves(member.type, known) for member in bare.members)
    return known[id(bare)]


def union_codec(type: kinds.Union, order: ByteOrder) -> Codec:
    """Make the codec of a union: instances of its Python class, which hold its bytes."""
    size, cls = type.size, type.python

    def encode(value: Any) -> bytes:
        if isinstance(value, Mapping):
            value = made_of(cls, value)
        if not isinstance(value, cls):
            raise BpfTypeError(f"{shown(value)} is no {cls.__name__}")
        raw: bytes = value.__bpf_raw__(order)
        return raw

    def decode(buffer: Buffer, offset: int) -> Any:
        return cls.__bpf_from_raw__(bytes(buffer[offset : offset + size]), order)

    return Codec(size, decode, encode)


def made_of(cls: Any, values: Mapping[str, Any]) -> Any:
    """Make an instance of a mapping; errors lead from the member on, as they do for the instance's own members."""
    try:
        return cls(**values)
    except BpfValueError as error:
        raise type(error)(error.message, error.path.removeprefix(cls.__name__).removeprefix(".")) from None


def _fields(value: Any, known: set[str], name: str, cls: Any) -> Mapping[str, Any]:
    if cls is not None and isinstance(value, Mapping):
        value = made_of(cls, value)
    if cls is not None and not isinstance(value, cls):
        raise BpfTypeError(f"{shown(value)} is no {cls.__name__}")
    fields = value if isinstance(value, Mapping) else getattr(value, "__dict__", {})
    if fields.keys() != known:
        missing, extra = known - fields.keys(), fields.keys() - known
        told = [f"lacks {', '.join(sorted(missing))}"] if missing else []
        told += [f"has no member {', '.join(sorted(map(str, extra)))}"] if extra else []
        raise BpfTypeError(f"{shown(value)} does not fit {name}: {' and '.join(told)}")
    return fields


def _part(attribute: str, type: kinds.Type, offset: int, bits: int, order: ByteOrder, make: Make) -> _Part:
    codec = make(type)
    if not bits:
        if offset % 8:
            raise SourceError(f"member {attribute} lies at bit {offset}, and is no bitfield")
        return _Part(attribute, offset // 8, codec)
    field = Bitfield.at(type, offset, bits, order)
    return _Part(attribute, field.offset, codec, field)
