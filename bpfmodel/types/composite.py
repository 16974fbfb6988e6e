"""What `Struct` and `Union` share: a class body of members that lowers to BTF once."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar

from ..btf import kinds
from ..btf.layout import Slot, lay_out
from ..errors import BpfTypeError, DeclarationError, UndefinedNameError
from .annotations import Body, body_of, mangled, unmangled
from .atomics import misaligned
from .frozen import freeze
from .lowering import slot
from .options import NOTHING, FieldOptions

_NOT_YET = kinds.Struct("", 0, ())


class Composite:
    """The root of Struct and Union."""

    __bpf_kind__: ClassVar[type[kinds.Composite]]
    __bpf_body__: ClassVar[Body]
    __bpf_options__: ClassVar[tuple[bool, int, str]]
    __bpf_given__: ClassVar[dict[str, FieldOptions]]
    __bpf_made__: ClassVar[kinds.Composite | None]

    def __init_subclass__(
        cls, *, packed: bool = False, align: int = 0, name: str = "", frozen: bool = False, **others: Any
    ) -> None:
        super().__init_subclass__(**others)
        if "__bpf_kind__" in cls.__dict__:
            return  # Struct and Union themselves
        cls.__bpf_body__ = body_of(cls)
        if frozen:
            if cls.__bpf_kind__ is kinds.Union:
                raise DeclarationError(f"{cls.__name__}: a Union is built by setting a member, and cannot be frozen")
            freeze(cls)
        cls.__bpf_options__ = (packed, align, name or cls.__name__)
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
        except UndefinedNameError:
            pass  # a name that is defined later: __bpf_type__ tries again at first use

    @classmethod
    def __bpf_type__(cls) -> kinds.Composite:
        """Return the BTF type this class stands for.

        Raises:
            DeclarationError: a member cannot be understood, or names what is not defined.
        """
        made: kinds.Composite | None = cls.__dict__.get("__bpf_made__", _NOT_YET)
        if made is None:
            raise DeclarationError(f"{cls.__name__} contains itself")
        if made is _NOT_YET:
            cls.__bpf_made__ = None  # on the way
            try:
                made = cls.__bpf_made__ = _lower(cls)
            except BaseException:
                del cls.__bpf_made__
                raise
        return made

    def __repr__(self) -> str:
        members = type(self).__bpf_type__().members
        inside = ", ".join(f"{member.attribute}={getattr(self, member.attribute)!r}" for member in members)
        return f"{type(self).__name__}({inside})"

    if TYPE_CHECKING:  # Struct and Union each have their own

        def __replace__(self, **changes: Any) -> Any: ...

    if not TYPE_CHECKING:  # checkers know by `frozen`, as with dataclasses
        __hash__ = None  # its members change

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from .schema import composite_schema

        made = cls.__bpf_type__()
        names = [member.attribute for member in made.members]
        union = isinstance(made, kinds.Union)
        return composite_schema(cls, handler, {n for n in names if union or default_of(cls, n) is not NOTHING})


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


def default_of(cls: type[Composite], attribute: str) -> Any:
    """Return the default of a member, or NOTHING; a copy, since values change."""
    for base in cls.__mro__:
        if "__bpf_body__" in vars(base):
            found = vars(base).get(mangled(base, attribute), NOTHING)
            if found is not NOTHING and not isinstance(found, property):
                return found if isinstance(found, (int, float, str, bytes)) else copy.deepcopy(found)
    return NOTHING


def _lower(cls: type[Composite]) -> kinds.Composite:
    if "__bpf_kind__" in cls.__dict__:
        raise DeclarationError(f"{cls.__name__} is what structs and unions derive from, and no C type itself")
    packed, align, name = cls.__bpf_options__
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
                raise type(error)(f"{cls.__name__}.{attribute}: {error}") from None
    if not slots:
        raise DeclarationError(f"{cls.__name__} declares no member")
    for attribute, one in list(slots.items())[:-1]:
        if isinstance(one.type, kinds.Array) and not one.type.length:
            raise DeclarationError(f"{cls.__name__}.{attribute}: only the last member may be an array without a length")
    layout = lay_out(slots.values(), packed=packed, align=align, overlap=cls.__bpf_kind__ is kinds.Union)
    made = cls.__bpf_kind__(name, layout.size, layout.members, cls, layout.align)
    for path, at, size in misaligned(made, 0):
        raise DeclarationError(
            f"{cls.__name__}{path}: Atomic[…] of {size} bytes would lie at offset {at}, and atomic operations take a multiple "
            f"of {size}"
        )
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
