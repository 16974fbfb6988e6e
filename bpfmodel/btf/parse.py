"""Reads the bytes of a ``.BTF`` section into types that refer to each other.

Nothing here trusts its input: every length is checked before it is used, every type number before it is followed, and
types that contain themselves by value, or nest deeper than the kernel would resolve, are refused. So all code above may
walk a type without a guard, as long as it does not follow pointers.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

from ..errors import SourceError
from . import kinds
from .endless import refuse_endless

ByteOrder = Literal["little", "big"]

MAGIC = 0xEB9F
MAX_NAME = 4096
"""Eight times what the kernel takes. Hostile names run into each other, and add up to any size."""

(
    _INT, _PTR, _ARRAY, _STRUCT, _UNION, _ENUM, _FWD, _TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _FUNC, _FUNC_PROTO, _VAR,
    _DATASEC, _FLOAT, _DECL_TAG, _TYPE_TAG, _ENUM64,
) = range(1, 20)  # fmt: skip

_Made = tuple[kinds.Type, int]
_Maker = Callable[[str, int, int, int, int], _Made]


class BTF:
    """The types of one object. ``types[0]`` is void; the index of a type is its BTF type number."""

    __slots__ = ("_named", "byte_order", "types")

    def __init__(self, types: list[kinds.Type], byte_order: ByteOrder) -> None:
        self.types = types
        self.byte_order = byte_order
        self._named: dict[str, list[kinds.Type]] | None = None

    @classmethod
    def from_bytes(cls, data: bytes, byte_order: ByteOrder | None = None) -> BTF:
        """Parse a ``.BTF`` section; the byte order is taken from its magic number.

        Raises:
            SourceError: the data is no BTF, is truncated, or refers to what it does not hold; or its byte order
                is not `byte_order`.
        """
        order: ByteOrder = "big" if data[:2] == b"\xeb\x9f" else "little"
        if byte_order is not None and order != byte_order:
            raise SourceError(f"BTF is {order}-endian in a {byte_order}-endian object")
        return cls(_Parser(data, order).types(), order)

    def __len__(self) -> int:
        return len(self.types)

    def __iter__(self) -> Iterator[kinds.Type]:
        return iter(self.types)

    def __repr__(self) -> str:
        return f"<BTF of {len(self.types) - 1} types>"

    def named(self, name: str) -> list[kinds.Type]:
        """Return all types of that name, in the order of the object; C has one namespace a kind."""
        if self._named is None:
            self._named = {}
            for type in self.types:
                if type.name:
                    self._named.setdefault(type.name, []).append(type)
        return list(self._named.get(name, ()))

    def datasecs(self) -> list[kinds.Datasec]:
        """Return the data sections, ``.maps`` and ``.kconfig`` among them."""
        return [type for type in self.types if isinstance(type, kinds.Datasec)]


# The kinds that only point at another type; large objects have thousands of them.
_MODIFIERS: dict[int, type[kinds.Modifier]] = {
    _TYPEDEF: kinds.Typedef,
    _VOLATILE: kinds.Volatile,
    _CONST: kinds.Const,
    _RESTRICT: kinds.Restrict,
    _TYPE_TAG: kinds.TypeTag,
}


class _Parser:
    """One pass makes the types with type numbers where references will be, a second puts the references in."""

    def __init__(self, data: bytes, order: ByteOrder) -> None:
        self.order = "<" if order == "little" else ">"
        if len(data) < 24:
            raise SourceError(f"BTF is truncated: {len(data)} bytes where its header alone has 24")
        magic, version, _flags, header, type_at, type_size, str_at, str_size = struct.unpack_from(
            self.order + "HBBIIIII", data
        )
        if magic != MAGIC:
            raise SourceError(f"not BTF: its magic number is {magic:#06x}, not {MAGIC:#06x}")
        if version != 1:
            raise SourceError(f"BTF of version {version} is not known; only version 1 is")
        if header < 24 or header + type_at + type_size > len(data) or header + str_at + str_size > len(data):
            raise SourceError("BTF is truncated: its header names bytes beyond its end")
        self.body = data[header + type_at : header + type_at + type_size]
        self.strings = data[header + str_at : header + str_at + str_size]
        if self.strings[:1] != b"\0" or self.strings[-1:] != b"\0":
            raise SourceError("BTF's strings do not begin and end with a NUL byte")
        self.text = self.strings.decode("ascii") if self.strings.isascii() else None
        self.names: dict[int, str] = {0: ""}
        self.word = struct.Struct(self.order + "I").unpack_from
        # What refers to types by number, until all types are there: (owner, attribute, number).
        self.fixups: list[tuple[object, str, int]] = []
        self.protos: list[tuple[kinds.FuncProto, list[tuple[str, int]]]] = []

    def name(self, offset: int) -> str:
        found = self.names.get(offset)
        if found is None:
            if offset >= len(self.strings):
                raise SourceError(f"BTF names a string at {offset}, beyond its {len(self.strings)} bytes of strings")
            end = self.strings.find(b"\0", offset, offset + MAX_NAME + 1)
            if end < 0:
                raise SourceError(f"BTF has a name of more than {MAX_NAME} bytes")
            if self.text is not None:
                found = self.text[offset:end]
            else:
                found = self.strings[offset:end].decode("utf-8", "backslashreplace")
            self.names[offset] = found
        return found

    def types(self) -> list[kinds.Type]:
        """Make all types, in the order of their numbers."""
        found: list[kinds.Type] = [kinds.VOID]
        body, end, position = self.body, len(self.body), 0
        common = struct.Struct(self.order + "III").unpack_from
        makers, modifiers, word = self.makers(), _MODIFIERS, self.word
        self.found = found
        try:
            while position < end:
                name, info, extra = common(body, position)
                kind = info >> 24 & 0x1F
                position += 12
                # Most of a large object: variables, and const and volatile of them, of types that came before.
                if extra < len(found):
                    if kind == _VAR:
                        found.append(kinds.Var(self.name(name), found[extra], word(body, position)[0]))
                        position += 4
                        continue
                    modifier = modifiers.get(kind)
                    if modifier is not None:
                        found.append(modifier(self.name(name) if name else "", found[extra]))
                        continue
                maker = makers.get(kind)
                if maker is None:
                    raise SourceError(f"BTF kind {kind} is not known; kinds 1 to 19 are")
                type, used = maker(self.name(name) if name else "", info & 0xFFFF, info >> 31, extra, position)
                found.append(type)
                position += used
        except struct.error:
            raise SourceError(f"BTF type {len(found)} is truncated") from None
        self.link(found)
        refuse_endless(found)
        return found

    def makers(self) -> dict[int, _Maker]:
        """Return what makes each kind.

        Each takes a type's name, count, flag, and size or type number, with the place where its common part ended, and
        returns the type and how many bytes more it took.
        """
        return {
            _INT: self.make_int,
            _PTR: self.make_ptr,
            _ARRAY: self.make_array,
            _STRUCT: partial(self.make_composite, kinds.Struct),
            _UNION: partial(self.make_composite, kinds.Union),
            _ENUM: self.make_enum,
            _FWD: lambda name, count, flag, extra, position: (kinds.Fwd(name, bool(flag)), 0),
            _TYPEDEF: partial(self.make_modifier, kinds.Typedef),
            _VOLATILE: partial(self.make_modifier, kinds.Volatile),
            _CONST: partial(self.make_modifier, kinds.Const),
            _RESTRICT: partial(self.make_modifier, kinds.Restrict),
            _FUNC: self.make_func,
            _FUNC_PROTO: self.make_func_proto,
            _VAR: self.make_var,
            _DATASEC: self.make_datasec,
            _FLOAT: self.make_float,
            _DECL_TAG: self.make_decl_tag,
            _TYPE_TAG: partial(self.make_modifier, kinds.TypeTag),
            _ENUM64: self.make_enum64,
        }

    def unpack(self, format: str, position: int) -> tuple[int, ...]:
        return struct.unpack_from(self.order + format, self.body, position)

    def rows(self, format: str, count: int, position: int) -> Iterator[tuple[int, ...]]:
        row = struct.Struct(self.order + format)
        end = position + row.size * count
        if end > len(self.body):
            raise struct.error
        return row.iter_unpack(self.body[position:end])

    def make_int(self, name: str, count: int, flag: int, size: int, position: int) -> _Made:
        (word,) = self.word(self.body, position)
        encoding, offset, bits = word >> 24 & 0xF, word >> 16 & 0xFF, word & 0xFF
        if size not in (1, 2, 4, 8, 16) or bits == 0 or offset + bits > size * 8:
            raise SourceError(f"BTF integer {name!r} has {bits} bits at bit {offset} of {size} bytes")
        return kinds.Int(name, size, encoding, bits, offset), 4

    def make_ptr(self, name: str, count: int, flag: int, target: int, position: int) -> _Made:
        made = kinds.Ptr(kinds.VOID)
        self.fixups.append((made, "target", target))
        return made, 0

    def make_modifier(
        self, cls: type[kinds.Modifier], name: str, count: int, flag: int, target: int, position: int
    ) -> _Made:
        made = cls(name, kinds.VOID)
        self.fixups.append((made, "target", target))
        return made, 0

    def make_array(self, name: str, count: int, flag: int, extra: int, position: int) -> _Made:
        element, _index, length = self.unpack("III", position)
        made = kinds.Array(kinds.VOID, length)
        self.fixups.append((made, "element", element))
        return made, 12

    def make_composite(
        self, cls: type[kinds.Composite], name: str, count: int, flag: int, size: int, position: int
    ) -> _Made:
        members = []
        for n, number, where in self.rows("III", count, position):
            # With the flag (BTF calls it kind_flag) the high byte of an offset is the width of a bitfield.
            offset, bits = (where & 0xFFFFFF, where >> 24) if flag else (where, 0)
            member = kinds.Member(self.name(n), kinds.VOID, offset, bits)
            self.fixups.append((member, "type", number))
            members.append(member)
        return cls(name, size, members), 12 * count

    def make_enum(self, name: str, count: int, flag: int, size: int, position: int) -> _Made:
        self.check_enum(name, size)
        rows = self.rows("Ii" if flag else "II", count, position)
        return kinds.Enum(name, size, bool(flag), [(self.name(n), value) for n, value in rows]), 8 * count

    def make_enum64(self, name: str, count: int, flag: int, size: int, position: int) -> _Made:
        self.check_enum(name, size)
        values = []
        for n, low, high in self.rows("III", count, position):
            value = high << 32 | low
            values.append((self.name(n), value - (1 << 64) if flag and value >> 63 else value))
        return kinds.Enum(name, size, bool(flag), values), 12 * count

    def check_enum(self, name: str, size: int) -> None:
        if size not in (1, 2, 4, 8):
            raise SourceError(f"BTF enum {name!r} has {size} bytes")

    def make_func(self, name: str, linkage: int, flag: int, proto: int, position: int) -> _Made:
        made = kinds.Func(name, kinds.VOID, linkage)
        self.fixups.append((made, "proto", proto))
        return made, 0

    def make_func_proto(self, name: str, count: int, flag: int, returns: int, position: int) -> _Made:
        made = kinds.FuncProto(kinds.VOID, ())
        self.fixups.append((made, "returns", returns))
        self.protos.append((made, [(self.name(n), number) for n, number in self.rows("II", count, position)]))
        return made, 8 * count

    def make_var(self, name: str, count: int, flag: int, number: int, position: int) -> _Made:
        made = kinds.Var(name, kinds.VOID, self.word(self.body, position)[0])
        self.fixups.append((made, "type", number))
        return made, 4

    def make_datasec(self, name: str, count: int, flag: int, size: int, position: int) -> _Made:
        entries, found, known = [], self.found, len(self.found)
        for number, offset, length in self.rows("III", count, position):
            if number < known:
                entry = kinds.DatasecEntry(found[number], offset, length)
            else:
                entry = kinds.DatasecEntry(kinds.VOID, offset, length)
                self.fixups.append((entry, "var", number))
            entries.append(entry)
        return kinds.Datasec(name, size, entries), 12 * count

    def make_float(self, name: str, count: int, flag: int, size: int, position: int) -> _Made:
        if size not in (2, 4, 8, 12, 16):
            raise SourceError(f"BTF float {name!r} has {size} bytes")
        return kinds.Float(name, size), 0

    def make_decl_tag(self, name: str, count: int, flag: int, target: int, position: int) -> _Made:
        made = kinds.DeclTag(name, kinds.VOID, self.unpack("i", position)[0])
        self.fixups.append((made, "target", target))
        return made, 4

    def link(self, found: list[kinds.Type]) -> None:
        """Put the types in where their numbers were noted."""
        try:
            for owner, attribute, number in self.fixups:
                setattr(owner, attribute, found[number])
            for proto, parameters in self.protos:
                proto.parameters = tuple((name, found[number]) for name, number in parameters)
        except IndexError:
            raise SourceError(f"BTF refers to a type beyond the {len(found) - 1} it has") from None
