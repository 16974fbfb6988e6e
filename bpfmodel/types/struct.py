"""`Struct`: a C struct as a Python class.

The class has the layout that C gives its members; a value is a plain object with one attribute a member.
"""

from __future__ import annotations

import sys
from typing import Any, dataclass_transform

from ..btf import kinds
from ..btf.layout import fitted
from ..errors import BpfTypeError, BpfValueError
from .composite import Composite, default_of, promoted, refuse_names
from .options import NOTHING, field


@dataclass_transform(eq_default=True, field_specifiers=(field,))
class Struct(Composite):
    """A C struct, declared by its members in their order.

    ::

        class Stats(Struct):
            packets: u64
            bytes: u64

    Padding that C puts in by itself is never declared. ``class Header(Struct, packed=True)`` has none, ``align=n``
    raises the alignment, ``name="stats"`` gives the name of the struct in C where it matters: for events that a ring's own
    definition does not name. With ``frozen=True`` values stay what they are and have a hash: ``dict(objs.flows)`` takes keys
    of such a class. Values are built by position or keyword, checked against their C types, compared by value, and printed
    readably. Members with a default may be left out. `bpfmodel.replace` makes changed copies.

    Raises:
        DeclarationError: an annotation names no C type; at class creation, or at first use where a name is defined only
            later.
        BpfValueError: a member's value does not fit its C type; the message names the member.
    """

    __bpf_kind__ = kinds.Struct

    def __init__(self, /, *args: Any, **kwargs: Any) -> None:
        cls = type(self)
        members = cls.__bpf_type__().members
        if len(args) > len(members):
            raise BpfTypeError(f"{cls.__name__} has {len(members)} members, and {len(args)} values were given")
        values = self.__dict__
        unknown = kwargs.keys() - {member.attribute for member in members} - promoted(cls.__bpf_type__()).keys()
        if unknown:
            raise refuse_names(cls, unknown)
        for member, value in zip(members, args, strict=False):
            if member.attribute in kwargs:
                raise BpfTypeError(f"{cls.__name__}.{member.attribute} was given twice")
            values[member.attribute] = value
        for member in members[len(args) :]:
            values[member.attribute] = _given(cls, member, kwargs)
        if kwargs:
            raise refuse_names(cls, kwargs)
        _settle(cls, self)

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if type(other) is type(self) else NotImplemented

    def __replace__(self, **changes: Any) -> Any:
        values, lent = dict(self.__dict__), promoted(type(self).__bpf_type__())
        for name, value in changes.items():
            if name in lent and name not in values:  # a member of an anonymous one
                holder = lent[name]
                values[holder] = values[holder].__replace__(**{name: value})
            else:
                values[name] = value
        return type(self)(**values)


def _given(cls: type[Struct], member: kinds.Member, kwargs: dict[str, Any]) -> Any:
    """Take a member's value out of the keywords, or its default; an anonymous member's from those of its members."""
    value = kwargs.pop(member.attribute, NOTHING)
    if value is NOTHING:
        value = default_of(cls, member.attribute)
    if value is not NOTHING:
        return value
    inner = kinds.strip(member.type)
    if not member.name and isinstance(inner, kinds.Composite):
        names = {*(other.attribute for other in inner.members if other.name), *promoted(inner)} & kwargs.keys()
        if names:
            return inner.python(**{name: kwargs.pop(name) for name in names})
    raise BpfTypeError(f"{cls.__name__} needs a value for {member.attribute}")


def _settle(cls: type[Struct], value: Struct) -> None:
    """Check the members of a new instance against their C types, and make each what reading it back would give.

    So a dict becomes the nested struct, a number the enum's member, and an ``f32`` is rounded, here and not later.
    """
    from .codec import codec_for

    type = cls.__bpf_type__()
    last = type.members[-1]
    if isinstance(last.type, kinds.Array) and not last.type.length:
        items = value.__dict__[last.attribute]
        if hasattr(items, "__len__"):
            type = fitted(type, type.size, len(items))
    codec = codec_for(type, sys.byteorder)
    try:
        value.__dict__.update(codec.decode(codec.encode(value), 0).__dict__)
    except BpfValueError as error:
        raise error.within(cls.__name__) from None
