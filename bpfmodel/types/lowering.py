"""Lowers annotations to BTF types: the one place that knows what an annotation means in C."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Literal, get_args, get_origin

from ..btf import kinds
from ..btf.layout import Slot
from ..errors import DeclarationError
from .atomics import atomic
from .scalars import Align, Scalar

_CHAR = kinds.Int("char", 1, kinds.SIGNED | kinds.CHAR)
_BYTE = kinds.Int("u8", 1)
_LOOSE = {int, float, str, bytes, list, Any}


def lower(annotation: Any) -> kinds.Type:
    """Return the BTF type that a value annotation stands for; loose ones lower to `kinds.Loose`.

    Raises:
        DeclarationError: the annotation names no C type, or a length is no positive integer.
    """
    if annotation is bool:
        return kinds.Int("bool", 1, kinds.BOOL)
    if annotation in _LOOSE if _hashable(annotation) else False:
        return kinds.Loose(annotation)
    if isinstance(annotation, type):
        own = getattr(annotation, "__bpf_type__", None)
        if own is not None:
            made: kinds.Type = own()
            return made
        if issubclass(annotation, enum.Enum):
            return _enum(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotated(arguments[0], arguments[1:])
    from .arrays import Anonymous, Array, Atomic, Bits, Bytes, CString  # late: see there

    if origin is Array:
        element, length = lower(arguments[0]), _length(annotation, arguments)
        if isinstance(element, kinds.Loose):
            raise DeclarationError(f"{_show(annotation)}: the elements of an Array need a C type, such as u32")
        return kinds.Array(element, length, list)
    if origin is CString or annotation is CString:
        return kinds.Array(_CHAR, _length(annotation, arguments), str)
    if origin is Bytes or annotation is Bytes:
        return kinds.Array(_BYTE, _length(annotation, arguments), bytes)
    if origin is Atomic:
        return atomic(lower(arguments[0]))
    if origin in (Anonymous, Bits):
        raise DeclarationError(f"{_show(annotation)} lives inside a Struct only")
    if origin in (list, dict, tuple, set):
        raise DeclarationError(f"{_show(annotation)}: give the C type and its length, such as Array[u32, L[4]]")
    if hasattr(annotation, "__value__"):  # an alias of the user's own: type Counter = u64
        return lower(annotation.__value__)
    raise DeclarationError(f"{_show(annotation)} is no value type: use u32, CString[L[n]], a Struct class, …")


def slot(name: str, annotation: Any, attribute: str = "") -> Slot:
    """Lower the annotation of a struct member, with the width and alignment that only members may have."""
    align, bits = 0, 0
    if get_origin(annotation) is Annotated:
        inner, *extras = get_args(annotation)
        aligns = [extra for extra in extras if isinstance(extra, Align)]
        if aligns:
            align = aligns[-1].bytes
            rest = tuple(extra for extra in extras if not isinstance(extra, Align))
            annotation = Annotated[(inner, *rest)] if rest else inner
    if get_origin(annotation) not in (None, Annotated):
        from .arrays import Anonymous, Array, Bits

        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is Bits:
            annotation, bits = arguments[0], _length(annotation, arguments)
        elif origin is Anonymous:
            inner_type = lower(arguments[0])
            if not isinstance(inner_type, kinds.Composite):
                raise DeclarationError(f"{_show(annotation)}: only a Struct or Union class has members to reach")
            return Slot("", inner_type, 0, align, attribute)
        elif origin is Array and _is_zero(arguments[1]):  # a flexible array member
            return Slot(name, kinds.Array(lower(arguments[0]), 0, list), 0, align, attribute)
    type = lower(annotation)
    if isinstance(type, kinds.Loose):
        hint = {int: "u32", float: "f64", str: "CString[L[16]]", bytes: "Bytes[L[6]]"}.get(
            type.python, "Array[u32, L[4]]"
        )
        raise DeclarationError(f"{type.name} has no C type, so it has no place in a struct: write one such as {hint}")
    if bits and not (isinstance(type, (kinds.Int, kinds.Enum)) and type.size <= 8):
        raise DeclarationError(f"{name}: a bitfield is of an integer of 1 to 8 bytes, a bool or an enum")
    return Slot(name, type, bits, align, attribute)


def _annotated(inner: Any, extras: tuple[Any, ...]) -> kinds.Type:
    for extra in extras:
        if get_origin(extra) is Annotated:  # Annotated[Mode, u8]: an enum of another width
            base = next((item for item in get_args(extra)[1:] if isinstance(item, Scalar)), None)
            if base is not None and isinstance(inner, type) and issubclass(inner, enum.Enum):
                return _enum(inner, base)
        if isinstance(extra, Scalar):
            if isinstance(inner, type) and issubclass(inner, enum.Enum):
                return _enum(inner, extra)
            return _scalar(extra)
    return lower(inner)


def _scalar(scalar: Scalar) -> kinds.Type:
    if scalar.kind == "float":
        return kinds.Float(scalar.name, scalar.size)
    if scalar.kind == "pointer":
        return kinds.Ptr(kinds.VOID)
    encoding = kinds.BOOL if scalar.kind == "bool" else kinds.SIGNED if scalar.signed else 0
    return kinds.Int(scalar.name, scalar.size, encoding)


def _enum(cls: type[enum.Enum], base: Scalar | None = None) -> kinds.Enum:
    if base is not None and (base.kind != "int" or base.size > 8):
        raise DeclarationError(f"{cls.__name__}: an enum is as wide as an integer of 1 to 8 bytes, and not as {base}")
    members = [(name, member.value) for name, member in cls.__members__.items()]
    if not issubclass(cls, int) or any(not isinstance(value, int) for _, value in members):
        raise DeclarationError(f"{cls.__name__} is no integer enum: derive it from IntEnum or IntFlag")
    signed = base.signed if base else any(value < 0 for _, value in members)
    low, high = min((v for _, v in members), default=0), max((v for _, v in members), default=0)
    # clang widens an enum to 8 bytes where a member needs it, and never makes it narrower than int by itself.
    wide = low < -(1 << 31) or high >= 1 << (31 if signed else 32)
    size = base.size if base else 8 if wide else 4
    if low < (-(1 << size * 8 - 1) if signed else 0) or high >= 1 << (size * 8 - signed):
        raise DeclarationError(f"{cls.__name__}: members from {low} to {high} do not fit into {size} bytes")
    return kinds.Enum(cls.__name__, size, signed, members, cls)


def _length(annotation: Any, arguments: tuple[Any, ...]) -> int:
    last = arguments[-1] if arguments else None
    values = get_args(last) if get_origin(last) is Literal else ()
    if len(values) != 1 or type(values[0]) is not int or values[0] < 1:
        raise DeclarationError(f"{_show(annotation)}: the length is a positive integer, as in CString[L[16]]")
    return values[0]


def _is_zero(length: Any) -> bool:
    return get_origin(length) is Literal and get_args(length) == (0,)


def _hashable(annotation: Any) -> bool:
    return getattr(type(annotation), "__hash__", None) is not None and get_origin(annotation) is None


def _show(annotation: Any) -> str:
    return annotation.__qualname__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
