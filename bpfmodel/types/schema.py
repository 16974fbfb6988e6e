"""How pydantic checks values of C types: the bounds and lengths that the type gives."""

from __future__ import annotations

import math
from collections.abc import Set
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer
from pydantic_core import core_schema

from ..btf import kinds
from ..btf.layout import telling
from ..btf.render import c_name
from ..errors import BpfValueError
from .codec import codec_for
from .numbers import bit_bounds, bounds


def python_type(type: kinds.Type) -> Any:
    """Return the annotation that has pydantic check a value as strictly as the C type demands."""
    bare = kinds.strip(type)
    if isinstance(bare, kinds.Loose):
        return bare.python
    if isinstance(bare, kinds.Int):
        if bare.is_bool:
            return bool
        low, high = bounds(bare.size, bare.signed)
        return Annotated[int, Field(ge=low, le=high)]
    if isinstance(bare, kinds.Ptr):
        return Annotated[int, Field(ge=0, le=(1 << 64) - 1)]
    if isinstance(bare, kinds.Float):
        return Annotated[float, AfterValidator(_fits(type)), PlainSerializer(_json_float, when_used="json")]
    if isinstance(bare, kinds.Enum) and bare.python is not None:
        return bare.python
    if isinstance(bare, kinds.Array):
        if bare.python is str:
            return Annotated[
                str, AfterValidator(_fits(type)), PlainSerializer(_json_text, return_type=str, when_used="json")
            ]
        if bare.python is bytes:
            return Annotated[
                bytes,
                BeforeValidator(_from_hex),
                Field(min_length=bare.length, max_length=bare.length),
                PlainSerializer(bytes.hex, return_type=str, when_used="json"),
            ]
        inner = python_type(bare.element)
        return Annotated[list[inner], Field(min_length=bare.length, max_length=bare.length)]  # type: ignore[valid-type]
    if isinstance(bare, kinds.Composite) and bare.python is not None:
        return bare.python
    return Annotated[Any, AfterValidator(_fits(type))]


def _from_hex(value: Any) -> Any:
    """Read bytes from the hexadecimal digits that JSON, environments and people have for them: ``02:42:ac:11:00:02``."""
    return bytes.fromhex(value.replace(":", "")) if isinstance(value, str) else value


def _json_float(value: float) -> float | str:
    """Spell what JSON has no number for: ``inf``, ``-inf``, ``nan``."""
    return value if math.isfinite(value) else str(value)


def _json_text(value: str) -> str:
    r"""Spell bytes that are no UTF-8 as ``\xff``: JSON has no text for them, and a dump must not fail over one name."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _fits(type: kinds.Type) -> Any:
    codec = codec_for(type, "little")

    def fits(value: Any) -> Any:
        codec.encode(value)  # a BpfValueError is a ValueError, which is what pydantic collects
        return value

    fits.__name__ = f"fits_{c_name(type)}"
    return fits


def composite_schema(cls: Any, handler: Any, optional: Set[str]) -> Any:
    """Return the schema of a Struct or Union class: an instance, or a mapping of members, which becomes one.

    `optional` are the attributes that may be missing.
    """
    made = cls.__bpf_type__()
    fields = {}
    for member in made.members:
        annotation = python_type(member.type)
        if member.bits:
            signed = bool(getattr(kinds.strip(member.type), "signed", False))
            low, high = bit_bounds(member.bits, signed)
            annotation = Annotated[int, Field(ge=low, le=high)]
        required = member.attribute not in optional
        fields[member.attribute] = core_schema.typed_dict_field(handler.generate_schema(annotation), required=required)
    mapping = core_schema.typed_dict_schema(fields, extra_behavior="forbid")

    def make(values: Any) -> Any:
        try:
            return cls(**values)
        except BpfValueError as error:
            raise ValueError(str(error)) from None

    shown = telling(made)

    def members(value: Any) -> dict[str, Any]:
        return {member.attribute: getattr(value, member.attribute) for member in shown}

    def validate(value: Any, check: Any) -> Any:
        return value if isinstance(value, cls) else make(check(value))

    return core_schema.no_info_wrap_validator_function(
        validate,
        mapping,
        serialization=core_schema.plain_serializer_function_ser_schema(members, return_schema=mapping),
    )
