"""Write BTF by hand.

A compiler only emits BTF that is right. The reader must also survive BTF that is not, so every kind has a
plain method, `BtfWriter.raw` writes any record at all, and `BtfWriter.build` lets the header lie.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Literal, NamedTuple

ByteOrder = Literal["little", "big"]
Linkage = Literal["static", "global", "extern"]
Name = str | bytes
"""Names are text, or bytes when a test wants a name that is not UTF-8."""

MAGIC = 0xEB9F
HEADER_SIZE = 24
_LINKAGE: Mapping[Linkage, int] = {"static": 0, "global": 1, "extern": 2}


class Kind(IntEnum):
    """The kinds of BTF records, as the kernel numbers them."""

    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


class Member(NamedTuple):
    """A member of a struct or union; `bits` is the width of a bitfield, None for a plain member."""

    name: Name
    type: int
    bit_offset: int = 0
    bits: int | None = None


MemberLike = Member | tuple[Name, int] | tuple[Name, int, int] | tuple[Name, int, int, int | None]
EnumValues = Mapping[str, int] | Sequence[tuple[Name, int]]

SIGNED, CHAR, BOOL = 1, 2, 4

# What clang calls the integers of C, with their size and encoding on BPF. It gives char SIGNED, never CHAR.
_C_INTS: Mapping[str, tuple[int, int]] = {
    "char": (1, SIGNED),
    "signed char": (1, SIGNED),
    "unsigned char": (1, 0),
    "short": (2, SIGNED),
    "unsigned short": (2, 0),
    "int": (4, SIGNED),
    "unsigned int": (4, 0),
    "long": (8, SIGNED),
    "unsigned long": (8, 0),
    "long long": (8, SIGNED),
    "unsigned long long": (8, 0),
    "__int128": (16, SIGNED),
    "unsigned __int128": (16, 0),
    "_Bool": (1, BOOL),
    "__ARRAY_SIZE_TYPE__": (4, 0),
}

# The kernel's own names, each with the type it stands for.
_TYPEDEFS: Mapping[str, str] = {
    "__s8": "signed char",
    "__u8": "unsigned char",
    "__s16": "short",
    "__u16": "unsigned short",
    "__s32": "int",
    "__u32": "unsigned int",
    "__s64": "long long",
    "__u64": "unsigned long long",
    "bool": "_Bool",
}


class BtfWriter:
    """Collects types; each method adds one record and returns its id (ids count from 1, 0 is void).

    Ids given as arguments are never checked: `next_id` makes types that refer to themselves, and any other
    number makes a reference to nowhere.
    """

    def __init__(self, byte_order: ByteOrder = "little") -> None:
        self.byte_order: ByteOrder = byte_order
        self._prefix = "<" if byte_order == "little" else ">"
        self._types = bytearray()
        self._offsets: list[int] = []
        self._strings = bytearray(1)
        self._string_offsets: dict[bytes, int] = {b"": 0}
        self._common: dict[str, int] = {}

    @property
    def next_id(self) -> int:
        """The id that the next type will get."""
        return len(self._offsets) + 1

    def type_offset(self, type_id: int) -> int:
        """Where the record of a type starts, in bytes from the beginning of the type section."""
        return self._offsets[type_id - 1]

    def add_string(self, text: Name) -> int:
        """Add a string, unless it is there already, and return its offset."""
        encoded = text.encode() if isinstance(text, str) else text
        if encoded not in self._string_offsets:
            self._string_offsets[encoded] = len(self._strings)
            self._strings += encoded + b"\0"
        return self._string_offsets[encoded]

    def raw(
        self,
        name: Name | int,
        kind: int,
        vlen: int = 0,
        kind_flag: bool = False,
        size_or_type: int = 0,
        payload: bytes = b"",
    ) -> int:
        """Add a record exactly as given, right or wrong. A name given as a number is a string offset."""
        name_offset = name if isinstance(name, int) else self.add_string(name)
        info = vlen & 0xFFFF | (kind & 0x1F) << 24 | kind_flag << 31
        self._offsets.append(len(self._types))
        self._types += self._words(name_offset, info, size_or_type) + payload
        return len(self._offsets)

    def _words(self, *words: int) -> bytes:
        """Encode 32-bit words; negative numbers become their two's complement."""
        return struct.pack(f"{self._prefix}{len(words)}I", *(word & 0xFFFFFFFF for word in words))

    # Scalars

    def int_(self, name: Name, size: int, encoding: int = 0, *, bits: int | None = None, bit_offset: int = 0) -> int:
        """Add an INT; `bits` and `bit_offset` describe the older form of bitfields."""
        width = size * 8 if bits is None else bits
        payload = self._words((encoding & 0xF) << 24 | (bit_offset & 0xFF) << 16 | width & 0xFF)
        return self.raw(name, Kind.INT, size_or_type=size, payload=payload)

    def float_(self, name: Name, size: int) -> int:
        return self.raw(name, Kind.FLOAT, size_or_type=size)

    def common(self, name: str) -> int:
        """The id of a C integer (`unsigned int`) or kernel typedef (`__u32`), added when first asked for."""
        if name not in self._common:
            if name in _TYPEDEFS:
                self._common[name] = self.typedef(name, self.common(_TYPEDEFS[name]))
            else:
                self._common[name] = self.int_(name, *_C_INTS[name])
        return self._common[name]

    def enum(self, name: Name, values: EnumValues, size: int = 4, *, signed: bool | None = None) -> int:
        """Add an ENUM. Its signedness is the kind flag; unless told, a negative value makes it signed."""
        pairs = _pairs(values)
        payload = b"".join(self._words(self.add_string(label), value) for label, value in pairs)
        return self.raw(name, Kind.ENUM, len(pairs), _is_signed(pairs, signed), size, payload)

    def enum64(self, name: Name, values: EnumValues, size: int = 8, *, signed: bool | None = None) -> int:
        """Add an ENUM64, whose values are stored as their low and then their high half."""
        pairs = _pairs(values)
        payload = b"".join(self._words(self.add_string(label), value, value >> 32) for label, value in pairs)
        return self.raw(name, Kind.ENUM64, len(pairs), _is_signed(pairs, signed), size, payload)

    # References and modifiers

    def ptr(self, target: int) -> int:
        return self.raw("", Kind.PTR, size_or_type=target)

    def typedef(self, name: Name, target: int) -> int:
        return self.raw(name, Kind.TYPEDEF, size_or_type=target)

    def volatile(self, target: int) -> int:
        return self.raw("", Kind.VOLATILE, size_or_type=target)

    def const(self, target: int) -> int:
        return self.raw("", Kind.CONST, size_or_type=target)

    def restrict(self, target: int) -> int:
        return self.raw("", Kind.RESTRICT, size_or_type=target)

    def type_tag(self, tag: Name, target: int) -> int:
        return self.raw(tag, Kind.TYPE_TAG, size_or_type=target)

    def decl_tag(self, tag: Name, target: int, component: int = -1) -> int:
        """Add a DECL_TAG on a declaration, or on its member or parameter number `component`."""
        return self.raw(tag, Kind.DECL_TAG, size_or_type=target, payload=self._words(component))

    # Aggregates

    def array(self, element: int, count: int, index: int | None = None) -> int:
        """Add an ARRAY; unless told, it is indexed by `__ARRAY_SIZE_TYPE__` as clang does."""
        index_type = self.common("__ARRAY_SIZE_TYPE__") if index is None else index
        return self.raw("", Kind.ARRAY, payload=self._words(element, index_type, count))

    def struct(self, name: Name, size: int, members: Iterable[MemberLike] = (), *, legacy: bool = False) -> int:
        """Add a STRUCT. Any bitfield among the members sets the kind flag and moves widths into the members.

        With `legacy`, widths given are left out and the kind flag stays unset: the width is then that of the
        member's INT, as clang wrote it before BTF had the flag.
        """
        return self._aggregate(Kind.STRUCT, name, size, members, legacy)

    def union(self, name: Name, size: int, members: Iterable[MemberLike] = (), *, legacy: bool = False) -> int:
        """Add a UNION; bitfields are as in `struct`."""
        return self._aggregate(Kind.UNION, name, size, members, legacy)

    def _aggregate(self, kind: Kind, name: Name, size: int, members: Iterable[MemberLike], legacy: bool) -> int:
        entries = [Member(*member) for member in members]
        kind_flag = not legacy and any(member.bits is not None for member in entries)
        payload = bytearray()
        for member in entries:
            offset = member.bit_offset
            if kind_flag:
                offset = (member.bits or 0) << 24 | offset & 0xFFFFFF
            payload += self._words(self.add_string(member.name), member.type, offset)
        return self.raw(name, kind, len(entries), kind_flag, size, bytes(payload))

    def fwd(self, name: Name, kind: Literal["struct", "union"] = "struct") -> int:
        return self.raw(name, Kind.FWD, kind_flag=kind == "union")

    # Functions, variables, sections

    def func_proto(self, returns: int = 0, params: Sequence[tuple[Name, int]] = (), *, variadic: bool = False) -> int:
        """Add a FUNC_PROTO; a variadic one ends in a nameless parameter of type void."""
        entries = [*params, ("", 0)] if variadic else params
        payload = b"".join(self._words(self.add_string(name), type_id) for name, type_id in entries)
        return self.raw("", Kind.FUNC_PROTO, len(entries), size_or_type=returns, payload=payload)

    def func(self, name: Name, proto: int, linkage: Linkage = "global") -> int:
        """Add a FUNC; its linkage is kept where other kinds have their number of entries."""
        return self.raw(name, Kind.FUNC, _LINKAGE[linkage], size_or_type=proto)

    def var(self, name: Name, type_id: int, linkage: Linkage = "global") -> int:
        return self.raw(name, Kind.VAR, size_or_type=type_id, payload=self._words(_LINKAGE[linkage]))

    def datasec(self, name: Name, entries: Sequence[tuple[int, int, int]] = (), size: int = 0) -> int:
        """Add a DATASEC of (variable's id, offset, size) entries. clang leaves size and offsets at 0."""
        payload = b"".join(self._words(*entry) for entry in entries)
        return self.raw(name, Kind.DATASEC, len(entries), size_or_type=size, payload=payload)

    # The blob

    def build(
        self,
        *,
        magic: int = MAGIC,
        version: int = 1,
        flags: int = 0,
        hdr_len: int | None = None,
        type_off: int = 0,
        type_len: int | None = None,
        str_off: int | None = None,
        str_len: int | None = None,
        header_padding: bytes = b"",
    ) -> bytes:
        """Return header, types and strings.

        The header's fields may be overridden to say something else than what follows. `header_padding` makes
        a header longer than known today, which readers must accept: `hdr_len` then counts it in.
        """
        header = struct.pack(
            self._prefix + "HBBIIIII",
            magic,
            version,
            flags,
            HEADER_SIZE + len(header_padding) if hdr_len is None else hdr_len,
            type_off,
            len(self._types) if type_len is None else type_len,
            len(self._types) if str_off is None else str_off,
            len(self._strings) if str_len is None else str_len,
        )
        return header + header_padding + bytes(self._types) + bytes(self._strings)


def _pairs(values: EnumValues) -> list[tuple[Name, int]]:
    return list(values.items()) if isinstance(values, Mapping) else list(values)


def _is_signed(pairs: Iterable[tuple[Name, int]], signed: bool | None) -> bool:
    return any(value < 0 for _, value in pairs) if signed is None else signed
