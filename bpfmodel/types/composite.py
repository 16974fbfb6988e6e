"""What `Struct` and `Union` share: a class body of members that lowers to BTF once."""

from __future__ import annotations

from typing import Any, ClassVar

from ..btf import kinds
from ..btf.layout import Slot, lay_out
from ..errors import BpfTypeError, DeclarationError
from .annotations import Body, body_of, unmangled
from .lowering import slot
from .options import NOTHING, FieldOptions


class Composite:
    """The root of Struct and Union."""

    __bpf_kind__: ClassVar[type[kinds.Composite]]
    __bpf_body__: ClassVar[Body]
    __bpf_options__: ClassVar[tuple[bool, int]]
    __bpf_given__: ClassVar[dict[str, FieldOptions]]
    __bpf_made__: ClassVar[kinds.Composite]

    def __init_subclass__(cls, *, packed: bool = False, align: int = 0, **others: Any) -> None:
        super().__init_subclass__(**others)
        if "__bpf_kind__" in cls.__dict__:
            return  # Struct and Union themselves
        cls.__bpf_body__ = body_of(cls)
        cls.__bpf_options__ = (packed, align)
        cls.__bpf_given__ = {}
        for name in cls.__bpf_body__.names():
            given = cls.__dict__.get(name)
            if isinstance(given, FieldOptions):
                cls.__bpf_given__[unmangled(cls, name)] = given
                if given.default is NOTHING:
                    delattr(cls, name)
                else:
                    setattr(cls, name, given.default)
        try:
            cls.__bpf_type__()
        except NameError:
            pass  # a name that is defined later: __bpf_type__ tries again at first use

    @classmethod
    def __bpf_type__(cls) -> kinds.Composite:
        """Return the BTF type this class stands for.

        Raises:
            DeclarationError: a member cannot be understood, or names what is not defined.
        """
        made: kinds.Composite | None = cls.__dict__.get("__bpf_made__")
        if made is None:
            made = cls.__bpf_made__ = _lower(cls)
        return made

    def __repr__(self) -> str:
        members = type(self).__bpf_type__().members
        inside = ", ".join(f"{member.attribute}={getattr(self, member.attribute)!r}" for member in members)
        return f"{type(self).__name__}({inside})"

    __hash__ = None  # type: ignore[assignment]  # its members change

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from .schema import composite_schema

        return composite_schema(cls, handler)


def promoted(type: kinds.Composite) -> dict[str, str]:
    """Return the members that anonymous members lend, by attribute, with the attribute of the member they lie in."""
    found: dict[str, str] = {}
    for member in type.members:
        inner = kinds.strip(member.type)
        if not member.name and isinstance(inner, kinds.Composite):
            names = [other.attribute for other in inner.members if other.name]
            found.update(dict.fromkeys([*names, *promoted(inner)], member.attribute))
    return found


def refuse_names(cls: type, wrong: Any) -> BpfTypeError:
    """Make the error for values under names that a class has no member for."""
    return BpfTypeError(f"{cls.__name__} has no member {', '.join(sorted(wrong))}")


def _lower(cls: type[Composite]) -> kinds.Composite:
    packed, align = cls.__bpf_options__
    slots: dict[str, Slot] = {}
    for base in reversed(cls.__mro__):
        body = base.__dict__.get("__bpf_body__")
        if body is None:
            continue
        for attribute, annotation in body.resolve().items():
            given = base.__dict__["__bpf_given__"].get(attribute)
            try:
                slots[attribute] = slot((given and given.name) or attribute, annotation, attribute)
            except DeclarationError as error:
                raise DeclarationError(f"{cls.__name__}.{attribute}: {error}") from None
    if not slots:
        raise DeclarationError(f"{cls.__name__} declares no member")
    for attribute, one in list(slots.items())[:-1]:
        if isinstance(one.type, kinds.Array) and not one.type.length:
            raise DeclarationError(f"{cls.__name__}.{attribute}: only the last member may be an array without a length")
    layout = lay_out(slots.values(), packed=packed, align=align, overlap=cls.__bpf_kind__ is kinds.Union)
    made = cls.__bpf_kind__(cls.__name__, layout.size, layout.members, cls, layout.align)
    for name, holder in promoted(made).items():
        if name not in slots:
            setattr(cls, name, _lent(holder, name))
    return made


def _lent(holder: str, name: str) -> property:
    """Make the attribute through which a member of an anonymous member is reached, as in C."""

    def get(self: Any) -> Any:
        return getattr(getattr(self, holder), name)

    def set(self: Any, value: Any) -> None:
        setattr(getattr(self, holder), name, value)

    return property(get, set)
