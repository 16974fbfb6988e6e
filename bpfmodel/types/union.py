"""`Union`: a C union as a Python class."""

from __future__ import annotations

import sys
from typing import Any

from ..btf import kinds
from ..btf.parse import ByteOrder
from ..errors import BpfTypeError, BpfValueError
from .base import Codec
from .bitfields import Bitfield
from .composite import Composite, refuse_names

_RAW, _ORDER = "__bpf_bytes__", "__bpf_order__"  # names that no member has


class Union(Composite):
    """A C union, declared by its members.

    ::

        class Number(Union):
            whole: u64
            real: f64

    A value is raw bytes that are read through any member, and it is built from one: ``Number(whole=1).real``.
    Setting a member replaces the bytes that the member covers.

    Raises:
        DeclarationError: an annotation names no C type.
        BpfValueError: a member's value does not fit its C type; the message names the member.
    """

    __bpf_kind__ = kinds.Union

    def __init__(self, /, **member: Any) -> None:
        cls = type(self)
        if len(member) != 1:
            names = ", ".join(other.attribute for other in cls.__bpf_type__().members)
            raise BpfTypeError(f"{cls.__name__} is built from one of its members: {names}")
        self.__dict__[_RAW] = bytes(cls.__bpf_type__().size)
        self.__dict__[_ORDER] = sys.byteorder
        for name, value in member.items():
            setattr(self, name, value)

    def __bytes__(self) -> bytes:
        raw: bytes = self.__dict__[_RAW]
        return raw

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):  # what Python itself looks for is never a member
            raise AttributeError(name)
        codec, field = self.__bpf_member__(name)
        raw = self.__dict__[_RAW]
        return field.get(raw, 0) if field is not None else codec.decode(raw, 0)

    def __setattr__(self, name: str, value: Any) -> None:
        codec, field = self.__bpf_member__(name)
        raw = bytearray(self.__dict__[_RAW])
        try:
            if field is not None:
                field.put(raw, 0, value)
            else:
                encoded = codec.encode(value)
                raw[: len(encoded)] = encoded
        except BpfValueError as error:
            raise error.within(name).within(type(self).__name__) from None
        self.__dict__[_RAW] = bytes(raw)

    def __bpf_member__(self, name: str) -> tuple[Codec, Bitfield | None]:
        """Return the codec of a member, and where it lies if it is a bitfield."""
        from .codec import codec_for

        order = self.__dict__[_ORDER]
        for member in type(self).__bpf_type__().members:
            if member.attribute == name:
                field = Bitfield.at(member.type, member.offset, member.bits, order) if member.bits else None
                return codec_for(member.type, order), field
        raise AttributeError(str(refuse_names(type(self), [name])))

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if type(other) is type(self) else NotImplemented

    def __replace__(self, **changes: Any) -> Any:
        made = self.__bpf_from_raw__(self.__dict__[_RAW], self.__dict__[_ORDER])
        for name, value in changes.items():
            setattr(made, name, value)
        return made

    @classmethod
    def __bpf_from_raw__(cls, raw: bytes, order: ByteOrder) -> Any:
        """Make a value of the bytes that an object of some byte order holds."""
        made = object.__new__(cls)
        made.__dict__.update({_RAW: raw, _ORDER: order})
        return made

    def __bpf_raw__(self, order: ByteOrder) -> bytes:
        """Return the bytes for an object of some byte order.

        Raises:
            BpfValueError: they were made in the other one: what they mean, and so how to swap them, nothing here knows.
        """
        raw: bytes
        raw, own = self.__dict__[_RAW], self.__dict__[_ORDER]
        if own != order:
            raise BpfValueError(f"{self!r} holds {own}-endian bytes, and this object is {order}-endian")
        return raw
