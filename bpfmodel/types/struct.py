"""`Struct`: a C struct as a Python class.

The class has the layout that C gives its members; a value is a plain object with one attribute a member.
"""

from __future__ import annotations

from typing import Any, ClassVar, dataclass_transform

from ..btf import kinds
from ..btf.layout import lay_out
from ..errors import BpfTypeError, BpfValueError, DeclarationError
from .annotations import Body, body_of
from .lowering import slot

_MISSING = object()


@dataclass_transform(eq_default=True)
class Struct:
    """A C struct, declared by its members in their order.

    ::

        class Stats(Struct):
            packets: u64
            bytes: u64

    Padding is never declared. ``class Header(Struct, packed=True)`` has none, ``align=n`` raises the alignment.
    Values are built by position or keyword, checked against their C types, compared by value, and printed readably.
    Members with a default may be left out.

    Raises:
        DeclarationError: an annotation names no C type; at class creation, or at first use where a name is defined
            only later.
        BpfValueError: a member's value does not fit its C type; the message names the member.
    """

    __bpf_body__: ClassVar[Body]
    __bpf_options__: ClassVar[tuple[bool, int]]
    __bpf_made__: ClassVar[kinds.Struct]

    def __init_subclass__(cls, *, packed: bool = False, align: int = 0, **others: Any) -> None:
        super().__init_subclass__(**others)
        cls.__bpf_body__ = body_of(cls)
        cls.__bpf_options__ = (packed, align)
        try:
            cls.__bpf_type__()
        except NameError:
            pass  # a name that is defined later: __bpf_type__ tries again at first use

    @classmethod
    def __bpf_type__(cls) -> kinds.Struct:
        """Return the BTF type this class stands for."""
        made = cls.__dict__.get("__bpf_made__")
        if made is None:
            made = cls.__bpf_made__ = _lower(cls)
        assert isinstance(made, kinds.Struct)
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        cls = type(self)
        members = cls.__bpf_type__().members
        if len(args) > len(members):
            raise BpfTypeError(f"{cls.__name__} has {len(members)} members, and {len(args)} values were given")
        values = self.__dict__
        for member, value in zip(members, args, strict=False):
            values[member.attribute] = value
        for member in members[len(args) :]:
            value = kwargs.pop(member.attribute, _MISSING)
            if value is _MISSING:
                value = getattr(cls, member.attribute, _MISSING)
                if value is _MISSING:
                    raise BpfTypeError(f"{cls.__name__} needs a value for {member.attribute}")
            values[member.attribute] = value
        if kwargs:
            raise BpfTypeError(f"{cls.__name__} has no member {', '.join(kwargs)}, or it was given twice")
        cls.__bpf_check__(self)

    @classmethod
    def __bpf_check__(cls, value: object) -> None:
        """Check the members of an instance against their C types."""
        from .codec import codec_for

        try:
            codec_for(cls.__bpf_type__(), "little").encode(value)
        except BpfValueError as error:
            raise error.within(cls.__name__) from None

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # its members change

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({inside})"

    def __replace__(self, **changes: Any) -> Any:
        return type(self)(**{**self.__dict__, **changes})

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from .schema import struct_schema

        return struct_schema(cls, handler)


def _lower(cls: type[Struct]) -> kinds.Struct:
    packed, align = cls.__bpf_options__
    slots = {}
    for base in reversed(cls.__mro__):
        body = base.__dict__.get("__bpf_body__")
        if body is None:
            continue
        for name, annotation in body.resolve().items():
            try:
                slots[name] = slot(name, annotation)
            except DeclarationError as error:
                raise DeclarationError(f"{cls.__name__}.{name}: {error}") from None
    if not slots:
        raise DeclarationError(f"{cls.__name__} declares no member")
    layout = lay_out(slots.values(), packed=packed, align=align)
    return kinds.Struct(cls.__name__, layout.size, layout.members, cls, layout.align)
