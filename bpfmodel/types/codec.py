"""Picks the codec of a type. Those of structs are made once per type and byte order, and kept with the type."""

from __future__ import annotations

from ..btf import kinds
from ..btf.parse import ByteOrder
from ..btf.render import c_name
from ..errors import SourceError
from .base import Codec
from .composites import struct_codec, union_codec
from .numbers import bool_codec, enum_codec, float_codec, int_codec
from .sequences import array_codec, raw_codec


def codec_for(type: kinds.Type, order: ByteOrder) -> Codec:
    """Make the codec of a type.

    Raises:
        SourceError: the type has no values: void, a function, a struct that is only declared, a 10-byte float.
    """

    def make(inner: kinds.Type) -> Codec:
        return codec_for(inner, order)

    bare, name = kinds.strip(type), c_name(type)
    if isinstance(bare, kinds.Int):
        return bool_codec(bare.size, order) if bare.is_bool else int_codec(name, bare.size, bare.signed, order)
    if isinstance(bare, kinds.Ptr):
        return int_codec(name, 8, False, order)
    if isinstance(bare, kinds.Float):
        return float_codec(bare, name, order)
    if isinstance(bare, kinds.Enum):
        return enum_codec(bare, name, order)
    if isinstance(bare, kinds.Array):
        return array_codec(bare, name, order, make)
    if isinstance(bare, kinds.Struct):
        if order not in bare.codecs:
            bare.codecs[order] = struct_codec(bare, order, make)
        found: Codec = bare.codecs[order]
        return found
    if isinstance(bare, kinds.Union):
        return union_codec(bare, order) if bare.python is not None else raw_codec(bare.size, name)
    raise SourceError(f"{name} has no values")
