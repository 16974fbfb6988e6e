"""Keeps what a class of objects declares: its own fields, those it inherits, and those of its parts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, get_origin

from ..errors import DeclarationError, UndefinedNameError
from ..handles.field import AnyField, Field
from ..types.annotations import Body, body_of, mangled, unmangled
from ..types.options import NOTHING
from .declare import HANDLES, Declaration, declare, key_of, refuse_doubles


class Declarative:
    """The root of `BpfObjects`: understands a class body when the class is made, or at first use."""

    __bpf_body__: ClassVar[Body]
    __bpf_defaults__: ClassVar[dict[str, Any]]
    __bpf_own__: ClassVar[dict[str, Declaration]]
    __bpf_fields__: ClassVar[dict[str, Declaration]]

    def __init_subclass__(cls, **others: Any) -> None:
        super().__init_subclass__(**others)
        if Declarative in cls.__bases__:
            return  # BpfObjects itself
        cls.__bpf_body__ = body_of(cls)
        names = cls.__bpf_body__.names()
        for name, value in vars(cls).items():
            if isinstance(get_origin(value) or value, type) and issubclass(get_origin(value) or value, HANDLES):
                raise DeclarationError(
                    f"{cls.__qualname__}.{name}: a field is an annotation: write {name}: …, and not {name} = …"
                )
        cls.__bpf_defaults__ = {unmangled(cls, name): cls.__dict__[name] for name in names if name in cls.__dict__}
        try:
            fields_of(cls)
        except UndefinedNameError:
            # A name that is defined later: understood at first use. The keys need no annotation but their names.
            for name in names:
                _put_key(cls, unmangled(cls, name), Field(cls, unmangled(cls, name)))


def fields_of(cls: type[Any]) -> dict[str, Declaration]:
    """Return the fields of a class by attribute, those it inherits first. The one place that makes them.

    Raises:
        DeclarationError: the class declares what no object could hold; UndefinedNameError where a name is missing.
    """
    if "__bpf_body__" not in vars(cls):
        raise DeclarationError(
            f"{cls.__name__} declares nothing: derive a class from it, and annotate what the object holds"
        )
    known: dict[str, Declaration] | None = cls.__dict__.get("__bpf_fields__")
    if known is not None:
        return known
    found: dict[str, Declaration] = {}
    for base in reversed(cls.__mro__[1:]):
        if "__bpf_body__" in vars(base):
            fields_of(base)
            found.update(vars(base)["__bpf_own__"])
    for attribute in found.keys() & vars(cls).keys() - cls.__bpf_defaults__.keys():
        if not isinstance(vars(cls)[attribute], AnyField):
            raise DeclarationError(f"{cls.__qualname__}.{attribute} would be hidden by the field that it inherits")
    body = cls.__bpf_body__.resolve()
    own = {
        name: declare(cls, name, annotation, cls.__bpf_defaults__.get(name, NOTHING), Declarative)
        for name, annotation in body.items()
    }
    for attribute, declaration in own.items():
        _refuse_hiding(cls, attribute, declaration.name)
    found.update(own)
    cls.__bpf_own__, cls.__bpf_fields__ = own, found
    try:
        refuse_doubles(cls, _walk(found, (), (cls,)))
    except BaseException:
        del cls.__bpf_fields__
        raise
    for attribute, declaration in own.items():
        _put_key(cls, attribute, key_of(declaration))
    return found


def _refuse_hiding(cls: type, attribute: str, name: str) -> None:
    """Refuse a field that would take the place of a method of BpfObjects, or of Python itself."""
    methods = next(base for base in cls.__mro__ if Declarative in base.__bases__)
    special = attribute.startswith("__") and attribute.endswith("__")
    if special or attribute in vars(methods):
        other = attribute.strip("_") + "_"
        raise DeclarationError(
            f"{cls.__qualname__}.{attribute} would hide {methods.__name__}.{attribute}; give the attribute another name: "
            f'{other}: … = field(name="{name}")'
        )


def _put_key(cls: type, attribute: str, key: AnyField) -> None:
    setattr(cls, attribute, key)
    if mangled(cls, attribute) != attribute:
        setattr(cls, mangled(cls, attribute), key)


def flat(cls: type[Any]) -> list[Declaration]:
    """List the variables, maps and programs of a class and of its parts, each with its path.

    Raises:
        DeclarationError: an annotation cannot be understood, or a name in one is defined nowhere.
    """
    return list(_walk(fields_of(cls), (), (cls,)))


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
