"""Reads a class body into declarations: what each annotation says about an object in C."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from ..btf import kinds
from ..errors import DeclarationError
from ..handles.field import AnyField, Field, MapField, ProgramField
from ..handles.kinds import ProgramKind
from ..handles.maps import AnyMap
from ..handles.program import Program
from ..handles.variable import Const, Var
from ..types.lowering import lower
from ..types.options import NOTHING, FieldOptions
from ..types.scalars import Scalar

Role = Literal["variable", "map", "program", "part"]


class Declaration(NamedTuple):
    """One field of an objects class, understood."""

    owner: type
    attribute: str
    name: str
    role: Role
    handle: type[Any]
    """Var, Const, Program, a kind of map; for a part, its class."""
    optional: bool = False
    value: kinds.Type | None = None
    key: kinds.Type | None = None
    program_kind: type[ProgramKind] | None = None
    inner: Declaration | None = None
    """What the maps in a map of maps are declared as."""
    max_entries: int | None = None
    path: tuple[str, ...] = ()
    """The attributes that lead to the part it lies in; empty at the top."""

    @property
    def label(self) -> str:
        """The way to it in Python: ``part.pkt_count``."""
        return ".".join((*self.path, self.attribute))


def declare(owner: type, attribute: str, annotation: Any, default: Any, part_base: type) -> Declaration:
    """Understand one annotation of a class body. `part_base` is what parts derive from.

    Raises:
        DeclarationError: it declares nothing that an object could hold.
    """
    where = f"{owner.__qualname__}.{attribute}"
    given = default if isinstance(default, FieldOptions) else None
    if default is not NOTHING and (given is None or given.default is not NOTHING):
        raise DeclarationError(
            f"{where}: a field takes no value; its handle is made at load, and field(name=…) renames"
        )
    name = attribute if given is None or given.name is None else given.name
    if not isinstance(name, str) or not name:
        raise DeclarationError(f"{where}: field(name=…) takes the C name as text, and not {name!r}")
    annotation, optional = _optional(annotation)
    while get_origin(annotation) is Annotated:
        scalar = next((extra for extra in get_args(annotation) if isinstance(extra, Scalar)), None)
        if scalar is not None:
            raise DeclarationError(
                f"{where}: {scalar} says what a value is, not where: write Var[{scalar}] or Const[{scalar}]"
            )
        annotation = get_args(annotation)[0]
    origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if not isinstance(origin, type):
        raise _unknown(where, annotation)
    try:
        if issubclass(origin, (Var, Const)):
            if origin not in (Var, Const):
                raise DeclarationError(f"{origin.__name__} is a handle class of your own; declare Var[…] or Const[…]")
            _arity(origin, arguments, "u32")
            return Declaration(owner, attribute, name, "variable", origin, optional, lower(arguments[0]))
        if issubclass(origin, AnyMap):
            return _map(owner, attribute, name, annotation, optional, given)
        if issubclass(origin, Program):
            kind = arguments[0] if arguments and arguments[0] is not Any else None
            if kind is not None and not (isinstance(kind, type) and issubclass(kind, ProgramKind)):
                raise DeclarationError(
                    f"Program[{getattr(kind, '__name__', kind)}] names no kind of program, such as XDP"
                )
            return Declaration(owner, attribute, name, "program", origin, optional, program_kind=kind)
        if issubclass(origin, part_base):
            if optional or given is not None:
                raise DeclarationError("a part is neither optional nor renamed: its own fields are")
            return Declaration(owner, attribute, name, "part", origin)
    except DeclarationError as error:
        raise type(error)(f"{where}: {error}") from None
    raise _unknown(where, annotation)


_INDEX = kinds.Int("u32", 4)
_EXAMPLES = {"key": "u32", "value": "u64", "event": "Event", "inner": "HashMap[u32, u64]"}


def _map(
    owner: type, attribute: str, name: str, annotation: Any, optional: bool, given: FieldOptions | None
) -> Declaration:
    """Understand the annotation of a map: what its arguments stand for is said by the class."""
    kind, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if "event" in kind.parameters and not arguments:
        arguments = (bytes,)
    _arity(kind, arguments, ", ".join(_EXAMPLES[part] for part in kind.parameters))
    parts = dict(zip(kind.parameters, arguments, strict=True))
    inner = None
    if "inner" in parts:
        inside = get_origin(parts["inner"]) or parts["inner"]
        if not (isinstance(inside, type) and issubclass(inside, AnyMap)) or "inner" in inside.parameters:
            raise DeclarationError(f"{kind.__name__} holds maps: name their kind, as in {_EXAMPLES['inner']}")
        inner = _map(owner, attribute, name, parts["inner"], False, None)
    key = (
        lower(parts["key"])
        if "key" in parts
        else kinds.VOID
        if kind.parameters == ("value",) and not kind.access
        else _INDEX
    )
    value: kinds.Type = kinds.VOID
    for part in ("value", "event"):
        if part in parts:
            value = lower(parts[part])
    if "event" in parts:
        key = kinds.VOID
    room = given.max_entries if given is not None else None
    if room is not None and (not isinstance(room, int) or room < 1):
        raise DeclarationError(f"field(max_entries={room!r}): it counts entries")
    return Declaration(owner, attribute, name, "map", kind, optional, value, key, inner=inner, max_entries=room)


HANDLES = (Var, Const, AnyMap, Program)
"""What a field is annotated with."""


def _optional(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (typing.Union, types.UnionType):
        inner = [part for part in get_args(annotation) if part is not type(None)]
        if len(inner) == 1 and len(inner) < len(get_args(annotation)):
            return inner[0], True
    return annotation, False


def _arity(origin: type[Any], arguments: tuple[Any, ...], example: str) -> None:
    wanted = len(origin.parameters) if issubclass(origin, AnyMap) else 1
    if len(arguments) != wanted:
        raise DeclarationError(
            f"{origin.__name__} takes {wanted} type{'s' * (wanted > 1)}, as in {origin.__name__}[{example}]"
        )


def _unknown(where: str, annotation: Any) -> DeclarationError:
    shown = getattr(annotation, "__qualname__", None) or str(annotation).replace("typing.", "")
    return DeclarationError(
        f"{where}: {shown} is nothing an object holds; use Var[…], Const[…], Program, a kind of map, or another class of "
        "objects. Annotate what is yours alone with ClassVar, or not at all"
    )


def key_of(declaration: Declaration) -> AnyField:
    """Make the typed key that stands for a field on its class."""
    made = {"variable": Field, "map": MapField, "program": ProgramField}.get(declaration.role, AnyField)
    return made(declaration.owner, declaration.attribute)


def refuse_doubles(cls: type, declarations: Iterator[Declaration]) -> None:
    """Refuse two fields for one object.

    Raises:
        DeclarationError: it names both.
    """
    seen: dict[tuple[Role, str], Declaration] = {}
    for declaration in declarations:
        first = seen.setdefault((declaration.role, declaration.name), declaration)
        if first is not declaration:
            raise DeclarationError(
                f"{cls.__qualname__}.{first.label} and {cls.__qualname__}.{declaration.label} both declare "
                f"the {declaration.role} {declaration.name}; one object has one field"
            )
