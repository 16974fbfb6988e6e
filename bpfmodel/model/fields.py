"""Keeps what a class of objects declares: its own fields, those it inherits, and those of its parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from ..errors import DeclarationError
from ..handles.field import Field
from ..types.annotations import Body, body_of, unmangled
from .declare import Declaration, declare, key_of, refuse_doubles


class Declarative:
    """The root of `BpfObjects`: understands a class body when the class is made, or at first use."""

    __bpf_body__: ClassVar[Body]
    __bpf_defaults__: ClassVar[dict[str, Any]]
    __bpf_fields__: ClassVar[dict[str, Declaration]]

    def __init_subclass__(cls, **others: Any) -> None:
        super().__init_subclass__(**others)
        cls.__bpf_body__ = body_of(cls)
        names = cls.__bpf_body__.names()
        cls.__bpf_defaults__ = {unmangled(cls, name): cls.__dict__[name] for name in names if name in cls.__dict__}
        try:
            fields_of(cls)
        except NameError:
            # A name that is defined later: understood at first use. The keys need no annotation but their names.
            for name in names:
                setattr(cls, unmangled(cls, name), Field(cls, unmangled(cls, name)))


def fields_of(cls: type[Any]) -> dict[str, Declaration]:
    """Return the fields of a class by attribute, those it inherits first. The one place that makes them."""
    known: dict[str, Declaration] | None = cls.__dict__.get("__bpf_fields__")
    if known is not None:
        return known
    found: dict[str, Declaration] = {}
    for base in reversed(cls.__mro__[1:]):
        if issubclass(base, Declarative) and "__bpf_body__" in vars(base):
            found.update(_own(base))
    own = _own(cls)
    found.update(own)
    # The methods of the classes that have no body of fields: those of BpfObjects.
    bases = [base for base in cls.__mro__ if issubclass(base, Declarative) and "__bpf_body__" not in vars(base)]
    taken = {name for base in bases for name in vars(base) if not name.startswith("_")}
    for attribute, declaration in own.items():
        if attribute in taken:
            raise DeclarationError(
                f"{cls.__qualname__}.{attribute} would hide BpfObjects.{attribute}; give the attribute another name: "
                f'{attribute}_: … = field(name="{declaration.name}")'
            )
        setattr(cls, attribute, key_of(declaration))
    refuse_doubles(cls, _walk(found, (), (cls,)))
    cls.__bpf_fields__ = found
    return found


def _own(cls: type[Any]) -> dict[str, Declaration]:
    """Understand the annotations a class itself wrote."""
    known: dict[str, Declaration] | None = cls.__dict__.get("__bpf_own__")
    if known is None:
        known = cls.__bpf_own__ = {
            name: declare(cls, name, annotation, cls.__bpf_defaults__.get(name), Declarative)
            for name, annotation in cls.__bpf_body__.resolve().items()
        }
    return known


def flat(cls: type[Any]) -> list[Declaration]:
    """List the variables, maps and programs of a class and of its parts, each with its path.

    Raises:
        DeclarationError: an annotation cannot be understood, or a name in one is defined nowhere.
    """
    try:
        return list(_walk(fields_of(cls), (), (cls,)))
    except NameError as error:
        raise DeclarationError(f"{cls.__qualname__}: an annotation names what is not defined: {error}") from error


def _walk(fields: dict[str, Declaration], path: tuple[str, ...], within: tuple[type, ...]) -> Iterator[Declaration]:
    for declaration in fields.values():
        if declaration.role != "part":
            yield declaration._replace(path=path) if path else declaration
        elif declaration.handle in within:
            raise DeclarationError(
                f"{declaration.owner.__qualname__}.{declaration.attribute} is a part that contains itself"
            )
        else:
            part = declaration.handle
            yield from _walk(fields_of(part), (*path, declaration.attribute), (*within, part))
