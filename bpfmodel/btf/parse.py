"""Reads the bytes of a ``.BTF`` section into types that refer to each other.

Nothing here trusts its input: every length is checked before it is used, every type number before it is followed, and
types that contain themselves by value, or nest deeper than the kernel would resolve, are refused. So all code above may
walk a type without a guard, as long as it does not follow pointers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal

from ..errors import SourceError
from . import kinds

ByteOrder = Literal["little", "big"]

MAGIC = 0xEB9F
MAX_DEPTH = 64
"""Twice MAX_RESOLVE_DEPTH of the kernel's ``kernel/bpf/btf.c``, which refuses deeper types at load."""

(
    _INT, _PTR, _ARRAY, _STRUCT, _UNION, _ENUM, _FWD, _TYPEDEF, _VOLATILE, _CONST, _RESTRICT, _FUNC, _FUNC_PROTO, _VAR,
    _DATASEC, _FLOAT, _DECL_TAG, _TYPE_TAG, _ENUM64,
) = range(1, 20)  # fmt: skip

_MODIFIERS = {_VOLATILE: kinds.Volatile, _CONST: kinds.Const, _RESTRICT: kinds.Restrict}


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
        self.names: dict[int, str] = {0: ""}
        self.fixups: list[tuple[object, str, int]] = []

    def name(self, offset: int) -> str:
        found = self.names.get(offset)
        if found is None:
            if offset >= len(self.strings):
                raise SourceError(f"BTF names a string at {offset}, beyond its {len(self.strings)} bytes of strings")
            raw = self.strings[offset : self.strings.index(b"\0", offset)]
            found = self.names[offset] = raw.decode("utf-8", "backslashreplace")
        return found

    def refer(self, owner: object, attribute: str, number: int) -> None:
        self.fixups.append((owner, attribute, number))

    def types(self) -> list[kinds.Type]:
        found: list[kinds.Type] = [kinds.VOID]
        body, end, position = self.body, len(self.body), 0
        common = struct.Struct(self.order + "III").unpack_from
        while position < end:
            if position + 12 > end:
                raise SourceError(f"BTF type {len(found)} is truncated")
            name, info, extra = common(body, position)
            kind, count, flag = info >> 24 & 0x1F, info & 0xFFFF, bool(info >> 31)
            position += 12
            try:
                type, used = self.type(kind, self.name(name), count, flag, extra, position)
            except struct.error:
                raise SourceError(f"BTF type {len(found)} is truncated") from None
            found.append(type)
            position += used
        self.link(found)
        _refuse_endless(found)
        return found

    def unpack(self, format: str, position: int) -> tuple[int, ...]:
        return struct.unpack_from(self.order + format, self.body, position)

    def rows(self, format: str, count: int, position: int) -> Iterator[tuple[int, ...]]:
        row = struct.Struct(self.order + format)
        end = position + row.size * count
        if end > len(self.body):
            raise struct.error
        return row.iter_unpack(self.body[position:end])

    def type(self, kind: int, name: str, count: int, flag: bool, extra: int, position: int) -> tuple[kinds.Type, int]:
        """Make the type whose common part ended at `position`; return it and how many bytes more it took."""
        made: kinds.Type
        if kind == _VAR:
            made = kinds.Var(name, kinds.VOID, self.unpack("I", position)[0])
            self.refer(made, "type", extra)
            return made, 4
        if kind == _INT:
            word = self.unpack("I", position)[0]
            encoding, offset, bits = word >> 24 & 0xF, word >> 16 & 0xFF, word & 0xFF
            if extra not in (1, 2, 4, 8, 16) or bits == 0 or offset + bits > extra * 8:
                raise SourceError(f"BTF integer {name!r} has {bits} bits at bit {offset} of {extra} bytes")
            return kinds.Int(name, extra, encoding, bits, offset), 4
        if kind == _PTR:
            made = kinds.Ptr(kinds.VOID)
            self.refer(made, "target", extra)
            return made, 0
        if kind == _ARRAY:
            element, _index, length = self.unpack("III", position)
            made = kinds.Array(kinds.VOID, length)
            self.refer(made, "element", element)
            return made, 12
        if kind in (_STRUCT, _UNION):
            return (kinds.Struct if kind == _STRUCT else kinds.Union)(
                name, extra, self.members(name, count, flag, position)
            ), 12 * count
        if kind == _ENUM:
            if extra not in (1, 2, 4, 8):
                raise SourceError(f"BTF enum {name!r} has {extra} bytes")
            rows = self.rows("Ii" if flag else "II", count, position)
            return kinds.Enum(name, extra, flag, [(self.name(n), value) for n, value in rows]), 8 * count
        if kind == _ENUM64:
            if extra not in (1, 2, 4, 8):
                raise SourceError(f"BTF enum {name!r} has {extra} bytes")
            values = []
            for n, low, high in self.rows("III", count, position):
                value = high << 32 | low
                values.append((self.name(n), value - (1 << 64) if flag and value >> 63 else value))
            return kinds.Enum(name, extra, flag, values), 12 * count
        if kind == _FWD:
            return kinds.Fwd(name, flag), 0
        if kind in (_TYPEDEF, _TYPE_TAG) or kind in _MODIFIERS:
            if kind == _TYPEDEF:
                made = kinds.Typedef(name, kinds.VOID)
            elif kind == _TYPE_TAG:
                made = kinds.TypeTag(name, kinds.VOID)
            else:
                made = _MODIFIERS[kind]("", kinds.VOID)
            self.refer(made, "target", extra)
            return made, 0
        if kind == _FUNC:
            made = kinds.Func(name, kinds.VOID, count)
            self.refer(made, "proto", extra)
            return made, 0
        if kind == _FUNC_PROTO:
            made = kinds.FuncProto(kinds.VOID, ())
            rows = self.rows("II", count, position)
            self.refer(made, "returns", extra)
            # Parameters are (name, number) until link() puts the types in.
            made.parameters = tuple((self.name(n), number) for n, number in rows)  # type: ignore[misc]
            return made, 8 * count
        if kind == _DATASEC:
            entries = []
            for number, offset, size in self.rows("III", count, position):
                entry = kinds.DatasecEntry(kinds.VOID, offset, size)
                self.refer(entry, "var", number)
                entries.append(entry)
            return kinds.Datasec(name, extra, entries), 12 * count
        if kind == _FLOAT:
            if extra not in (2, 4, 8, 12, 16):
                raise SourceError(f"BTF float {name!r} has {extra} bytes")
            return kinds.Float(name, extra), 0
        if kind == _DECL_TAG:
            made = kinds.DeclTag(name, kinds.VOID, struct.unpack_from(self.order + "i", self.body, position)[0])
            self.refer(made, "target", extra)
            return made, 4
        raise SourceError(f"BTF kind {kind} is not known; kinds 1 to 19 are")

    def members(self, name: str, count: int, bitfields: bool, position: int) -> list[kinds.Member]:
        """Read the members of a struct; with `bitfields` the high byte of an offset is a width (BTF's kind_flag)."""
        members = []
        for n, number, where in self.rows("III", count, position):
            offset, bits = (where & 0xFFFFFF, where >> 24) if bitfields else (where, 0)
            member = kinds.Member(self.name(n), kinds.VOID, offset, bits)
            self.refer(member, "type", number)
            members.append(member)
        return members

    def link(self, found: list[kinds.Type]) -> None:
        count = len(found)
        for owner, attribute, number in self.fixups:
            if number >= count:
                raise SourceError(f"BTF refers to type {number}, and has {count - 1}")
            setattr(owner, attribute, found[number])
        for type in found:
            if isinstance(type, kinds.FuncProto):
                numbers: list[tuple[str, int]] = list(type.parameters)  # type: ignore[arg-type]
                if any(number >= count for _, number in numbers):
                    raise SourceError(f"BTF refers to a type beyond its {count - 1}")
                type.parameters = tuple((name, found[number]) for name, number in numbers)


def _inside(type: kinds.Type) -> list[kinds.Type]:
    """List the types that must be known to know this one: all it holds by value, and what its pointers name.

    Pointers to structs, unions and functions end the walk, since C closes circles through them and nothing else.
    """
    if isinstance(type, kinds.Modifier):
        return [type.target]
    if isinstance(type, kinds.Composite):
        return [member.type for member in type.members]
    if isinstance(type, kinds.Array):
        return [type.element]
    if isinstance(type, kinds.Ptr):
        ends = isinstance(type.target, (kinds.Composite, kinds.FuncProto))
        # Through a typedef or const a pointer may still reach its own struct: strip, with a limit, before judging.
        target, steps = type.target, 0
        while isinstance(target, kinds.Modifier) and steps < MAX_DEPTH:
            target, steps = target.target, steps + 1
        return [] if ends or isinstance(target, (kinds.Composite, kinds.FuncProto)) else [type.target]
    return []


def _refuse_endless(types: list[kinds.Type]) -> None:
    """Refuse types that contain themselves or nest deeper than `MAX_DEPTH`, without recursion."""
    depths: dict[int, int] = {}
    for start in types:
        if id(start) in depths or not isinstance(start, (kinds.Modifier, kinds.Composite, kinds.Array, kinds.Ptr)):
            continue
        path: list[tuple[kinds.Type, Iterator[kinds.Type]]] = [(start, iter(_inside(start)))]
        depths[id(start)] = -1  # on the path
        deepest = [0]
        while path:
            type, children = path[-1]
            child = next(children, None)
            if child is None:
                path.pop()
                depth = depths[id(type)] = deepest.pop() + 1
                if depth > MAX_DEPTH:
                    raise SourceError(f"BTF type {type.name or '(anonymous)'} nests deeper than {MAX_DEPTH} levels")
                if deepest:
                    deepest[-1] = max(deepest[-1], depth)
                continue
            known = depths.get(id(child))
            if known == -1:
                raise SourceError(f"BTF type {child.name or '(anonymous)'} contains itself")
            if known is not None:
                deepest[-1] = max(deepest[-1], known)
                continue
            depths[id(child)] = -1
            deepest.append(0)
            path.append((child, iter(_inside(child))))
