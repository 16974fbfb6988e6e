"""Generates the function that reads a struct: one unpack for all its members, those of nested structs included.

For ``struct stats { __u64 packets; char name[4]; struct { __u8 mode; } in; }`` it writes::

    def decode(buffer, offset):
        t = unpack(buffer, offset)
        made = new(Stats)
        made.packets = t[0]
        made.name = text(t[1])
        made.in_ = new(In)
        made.in_.mode = t[2]
        return made

What has no letter in `struct` (unions, arrays of structs, 128-bit integers) is read by a codec of its own from its bytes.
"""

from __future__ import annotations

import keyword
import struct
from collections.abc import Callable
from typing import Any

from ..btf import kinds
from ..btf.compare import reachable
from ..btf.kinds import strip
from ..btf.layout import size_of
from ..btf.parse import ByteOrder
from .base import Buffer, Make
from .frozen import is_frozen
from .numbers import FLOATS, INTS, bit_value, enum_member, mark
from .sequences import array_form, text_of
from .source import compiled

MAX_LEAVES = 512
"""Structs with more numbers than this are read member by member: generated code of any length helps nobody."""


class TooLarge(Exception):
    """The struct is better read member by member."""


def struct_decoder(type: kinds.Struct, order: ByteOrder, make: Make) -> Callable[[Buffer, int], Any]:
    """Generate the function that reads a struct.

    Raises:
        TooLarge: it has too many members, or members that overlap outside of a union.
    """
    return _Generator(order, make).decoder(type)


def named_members(type: kinds.Composite) -> list[tuple[str, kinds.Type, int, int]]:
    """List the members that values have, as (attribute, type, bit offset, bits).

    Instances of a class have its own attributes; dicts have C's names, with the members of anonymous ones among them.
    """
    if type.python is not None:
        return [(m.attribute, m.type, m.offset, m.bits) for m in type.members]
    return [(m.name, m.type, m.offset, m.bits) for m in reachable(type)]


class _Generator:
    def __init__(self, order: ByteOrder, make: Make) -> None:
        self.order: ByteOrder = order
        self.make = make
        self.letters: list[str] = []
        self.lines: list[str] = []
        self.names: dict[str, Any] = {"new": object.__new__, "text": text_of}
        self.at = 0  # the next byte that no letter stands for yet
        self.index = 0  # the next place in the unpacked tuple
        self.instances = 0

    def decoder(self, type: kinds.Struct) -> Callable[[Buffer, int], Any]:
        result = self.composite(type, 0)
        self.skip(type.size)
        self.names["unpack"] = struct.Struct(mark(self.order) + "".join(self.letters)).unpack_from
        flat = self.flat(type)
        if flat:
            targets = ", ".join(f"made0.{name}" for name in flat)
            body = [f"made0 = new({self.lines[0].partition('(')[2]}", f"{targets}, = unpack(buffer, offset)"]
        else:
            body = ["t = unpack(buffer, offset)", *self.lines]
        source = "\n    ".join(["def decode(buffer, offset):", *body, f"return {result}"]) + "\n"
        return compiled(source, "decode", self.names, f"decode {type.keyword} {type.name}")

    def flat(self, type: kinds.Struct) -> list[str]:
        """Return the attributes, if each is just one unpacked value: they are then assigned in one statement."""
        names = [member.attribute for member in type.members]
        wanted = [f"made0.{name} = t[{index}]" for index, name in enumerate(names)]
        return names if type.python is not None and names and self.lines[1:] == wanted else []

    def skip(self, to: int) -> None:
        """Stand still bytes with padding."""
        if to < self.at:
            raise TooLarge
        if to > self.at:
            self.letters.append(f"{to - self.at}x")
            self.at = to

    def take(self, letters: str, size: int, offset: int, count: int = 1) -> int:
        """Read some bytes, as `count` places of the tuple; return the first."""
        self.skip(offset)
        self.letters.append(letters)
        self.at += size
        first, self.index = self.index, self.index + count
        if self.index > MAX_LEAVES:
            raise TooLarge
        return first

    def name(self, value: Any) -> str:
        """Give a value a name in the generated code."""
        made = f"_{len(self.names)}"
        self.names[made] = value
        return made

    def composite(self, type: kinds.Struct, base: int) -> str:
        """Write what reads a struct at `base`, and return the expression for its value."""
        if type.python is None:
            values = self.values(named_members(type), base)
            return "{" + ", ".join(f"{name!r}: {value}" for name, value in values) + "}"
        frozen = is_frozen(type.python)  # its attributes cannot be set
        made = f"made{self.instances}"
        self.instances += 1
        self.lines.append(f"{made} = new({self.name(type.python)})")
        for attribute, value in self.values(named_members(type), base):
            plain = attribute.isidentifier() and not keyword.iskeyword(attribute) and not frozen
            self.lines.append(f"{made}.{attribute} = {value}" if plain else f"{made}.__dict__[{attribute!r}] = {value}")
        return made

    def values(self, parts: list[tuple[str, kinds.Type, int, int]], base: int) -> list[tuple[str, str]]:
        """Write what reads members, and return each one's name and expression. Neighbouring bitfields share a read."""
        found: list[tuple[str, str]] = []
        group: list[tuple[str, kinds.Type, int, int]] = []
        for part in [*parts, ("", kinds.VOID, 0, 0)]:
            _, type, offset, bits = part
            if group and (not bits or offset // 8 > (group[-1][2] + group[-1][3] - 1) // 8):
                found += self.bitfields(group, base)
                group = []
            if bits:
                group.append(part)
            elif type is not kinds.VOID:
                if offset % 8:
                    raise TooLarge
                found.append((part[0], self.value(type, base + offset // 8)))
        return found

    def bitfields(self, group: list[tuple[str, kinds.Type, int, int]], base: int) -> list[tuple[str, str]]:
        first, last = group[0][2] // 8, (group[-1][2] + group[-1][3] - 1) // 8
        size = last - first + 1
        whole = f"bits{self.index}"
        index = self.take(f"{size}s", size, base + first)
        self.lines.append(f"{whole} = int.from_bytes(t[{index}], {self.order!r})")
        found = []
        for name, type, offset, bits in group:
            low = offset - first * 8 if self.order == "little" else size * 8 - (offset - first * 8) - bits
            value = f"({whole} >> {low} & {(1 << bits) - 1:#x})"
            if getattr(strip(type), "signed", False):
                value = f"(({value} ^ {1 << bits - 1:#x}) - {1 << bits - 1:#x})"
            convert = bit_value(type)
            found.append((name, value if convert is int else f"{self.name(convert)}({value})"))
        return found

    def value(self, type: kinds.Type, offset: int) -> str:
        """Write what reads a value at `offset`, and return the expression for it."""
        bare, size = strip(type), size_of(type)
        letter = _letter(bare)
        if letter:
            return self.read_enum(bare, f"t[{self.take(letter, size, offset)}]")
        if isinstance(bare, kinds.Array) and size:
            form = array_form(bare)
            if form in (str, bytes):
                raw = f"t[{self.take(f'{size}s', size, offset)}]"
                return f"text({raw})" if form is str else raw
            letter = _letter(strip(bare.element))
            if letter and getattr(strip(bare.element), "python", None) is None:
                first = self.take(f"{bare.length}{letter}", size, offset, bare.length)
                return f"list(t[{first}:{first + bare.length}])"
        if isinstance(bare, kinds.Struct) and size:
            return self.composite(bare, offset)
        codec = self.name(self.make(type).decode)
        return f"{codec}(t[{self.take(f'{size}s', size, offset)}], 0)"

    def read_enum(self, bare: kinds.Type, value: str) -> str:
        if isinstance(bare, kinds.Enum) and bare.python is not None:
            return f"{self.name(enum_member(bare.python))}({value})"
        return value


def _letter(bare: kinds.Type) -> str:
    """Return the letter of `struct` that reads a number, or nothing."""
    if isinstance(bare, kinds.Int):
        return ("?" if bare.size == 1 else "") if bare.is_bool else INTS.get((bare.size, bare.signed), "")
    if isinstance(bare, kinds.Enum):
        return INTS[bare.size, bare.signed]
    if isinstance(bare, kinds.Float):
        return FLOATS.get(bare.size, "")
    return "Q" if isinstance(bare, kinds.Ptr) else ""
