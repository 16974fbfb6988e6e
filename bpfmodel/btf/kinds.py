"""The kinds of BTF as Python classes, with direct references from type to type.

Source: the kernel's ``include/uapi/linux/btf.h`` and ``Documentation/bpf/btf.rst``. A type refers to other types by
object, not by number, and a pointer may close a circle. Types compare by identity; `bpfmodel.btf.compare` says how
two of them differ.

Some kinds carry `python`: the Python type that a declaration asks values to have. Types parsed from an object leave it
None, and values then take their natural Python form.

Plain classes with slots, and no dataclasses: this module is imported by everything, and twenty dataclasses with the
`inspect` module behind them would cost more than the rest of ``import bpfmodel``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SIGNED, CHAR, BOOL = 1, 2, 4


class Type:
    """What all kinds share: a name, empty where C has none."""

    __slots__ = ()
    name: str = ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name or '(anonymous)'}>"


class Void(Type):
    """``void``, type number 0."""

    __slots__ = ()
    name = "void"


class Int(Type):
    """An integer of `size` bytes. `bits` and `offset` differ from the whole only in the old form of bitfields."""

    __slots__ = ("bits", "encoding", "name", "offset", "size")

    def __init__(self, name: str, size: int, encoding: int = 0, bits: int = 0, offset: int = 0) -> None:
        self.name = name
        self.size = size
        self.encoding = encoding
        self.bits = bits or size * 8
        self.offset = offset

    @property
    def signed(self) -> bool:
        """Whether values may be negative."""
        return bool(self.encoding & SIGNED)

    @property
    def is_bool(self) -> bool:
        """Whether this is C's ``bool``."""
        return bool(self.encoding & BOOL)

    @property
    def is_char(self) -> bool:
        """Whether this is C's ``char``; clang marks it as a signed integer, so its name is what tells."""
        return self.size == 1 and (self.name == "char" or bool(self.encoding & CHAR))


class Float(Type):
    """A floating point number of `size` bytes."""

    __slots__ = ("name", "size")

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size


class Ptr(Type):
    """A pointer: 8 bytes on the BPF machine, whatever the host's are."""

    __slots__ = ("target",)
    size = 8

    def __init__(self, target: Type) -> None:
        self.target = target


class Array(Type):
    """`length` elements of one type; arrays of arrays nest from the outside in."""

    __slots__ = ("element", "length", "python")

    def __init__(self, element: Type, length: int, python: Any = None) -> None:
        self.element = element
        self.length = length
        self.python = python


class Member:
    """A member of a struct or union. `bits` is 0 for an ordinary one, else the width of the bitfield.

    `offset` is in bits from the start of the struct. `attribute` is the Python name where it is not the C name.
    """

    __slots__ = ("attribute", "bits", "name", "offset", "type")

    def __init__(self, name: str, type: Type, offset: int, bits: int = 0, attribute: str = "") -> None:
        self.name = name
        self.type = type
        self.offset = offset
        self.bits = bits
        self.attribute = attribute or name

    def __repr__(self) -> str:
        return f"<Member {self.name} at bit {self.offset}>"


class Composite(Type):
    """What struct and union share."""

    __slots__ = ("align", "codecs", "members", "name", "python", "size")
    keyword = ""

    def __init__(self, name: str, size: int, members: Sequence[Member], python: Any = None, align: int = 0) -> None:
        self.name = name
        self.size = size
        self.members = tuple(members)
        self.python = python
        self.align = align
        """The alignment a declaration asked for; 0 where it follows from the members."""
        self.codecs: dict[str, Any] = {}
        """What `bpfmodel.types.codec` made of it, by byte order."""


class Struct(Composite):
    """A struct of `size` bytes, padding included."""

    __slots__ = ()
    keyword = "struct"


class Union(Composite):
    """A union of `size` bytes."""

    __slots__ = ()
    keyword = "union"


class Enum(Type):
    """An enum of any width; BTF's ENUM and ENUM64 are one kind here."""

    __slots__ = ("enumerators", "name", "python", "signed", "size")

    def __init__(
        self, name: str, size: int, signed: bool, enumerators: Sequence[tuple[str, int]], python: Any = None
    ) -> None:
        self.name = name
        self.size = size
        self.signed = signed
        self.enumerators = tuple(enumerators)
        self.python = python


class Fwd(Type):
    """A struct or union that is named but not defined."""

    __slots__ = ("name", "union")

    def __init__(self, name: str, union: bool) -> None:
        self.name = name
        self.union = union


class Modifier(Type):
    """What is transparent to values: typedef, const, volatile, restrict, type tag."""

    __slots__ = ("name", "target")

    def __init__(self, name: str, target: Type) -> None:
        self.name = name
        self.target = target


class Typedef(Modifier):
    """A typedef."""

    __slots__ = ()


class Const(Modifier):
    """``const``; whether a variable can be written is said by its section, not by this."""

    __slots__ = ()


class Volatile(Modifier):
    """``volatile``."""

    __slots__ = ()


class Restrict(Modifier):
    """``restrict``."""

    __slots__ = ()


class TypeTag(Modifier):
    """``__attribute__((btf_type_tag("name")))``."""

    __slots__ = ()


class FuncProto(Type):
    """The type of a function: what it returns, and its parameters as (name, type)."""

    __slots__ = ("parameters", "returns")

    def __init__(self, returns: Type, parameters: Sequence[tuple[str, Type]]) -> None:
        self.returns = returns
        self.parameters = tuple(parameters)


class Func(Type):
    """A function. `linkage`: 0 static, 1 global, 2 extern."""

    __slots__ = ("linkage", "name", "proto")

    def __init__(self, name: str, proto: Type, linkage: int) -> None:
        self.name = name
        self.proto = proto
        self.linkage = linkage


class Var(Type):
    """A variable. `linkage`: 0 static, 1 global, 2 extern."""

    __slots__ = ("linkage", "name", "type")

    def __init__(self, name: str, type: Type, linkage: int) -> None:
        self.name = name
        self.type = type
        self.linkage = linkage


class DatasecEntry:
    """One variable of a data section, as BTF has it: the offset is 0 for globals until a linker fills it in."""

    __slots__ = ("offset", "size", "var")

    def __init__(self, var: Type, offset: int, size: int) -> None:
        self.var = var
        self.offset = offset
        self.size = size


class Datasec(Type):
    """A data section and its variables."""

    __slots__ = ("entries", "name", "size")

    def __init__(self, name: str, size: int, entries: Sequence[DatasecEntry]) -> None:
        self.name = name
        self.size = size
        self.entries = tuple(entries)


class DeclTag(Type):
    """``__attribute__((btf_decl_tag("name")))`` on a declaration; `component` is a member or parameter, or -1."""

    __slots__ = ("component", "name", "target")

    def __init__(self, name: str, target: Type, component: int) -> None:
        self.name = name
        self.target = target
        self.component = component


class Loose(Type):
    """Not a kind of BTF: what a loose annotation lowers to, the wildcard that takes its C type from the object."""

    __slots__ = ("python",)

    def __init__(self, python: Any) -> None:
        self.python = python

    @property
    def name(self) -> str:  # type: ignore[override]
        """The annotation as it was written."""
        return str(getattr(self.python, "__name__", self.python))


VOID = Void()


def is_volatile(type: Type) -> bool:
    """Tell whether C says ``volatile`` of a variable of this type, or of the elements of an array."""
    while isinstance(type, (Modifier, Array)):
        if isinstance(type, Volatile):
            return True
        type = type.target if isinstance(type, Modifier) else type.element
    return False


def strip(type: Type) -> Type:
    """Return the type behind typedef, const, volatile, restrict and type tags."""
    while isinstance(type, Modifier):
        type = type.target
    return type
