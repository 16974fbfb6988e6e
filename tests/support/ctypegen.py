"""Random C types from a seed, as C source and as the declarations a user would write for them.

A `Unit` is one translation unit: types T0, T1, …, for each a variable v0, v1, … and the places inside that are tested. Its
program copies every place of every variable into `seen`, and then fills the same places out of `given`. What the
compiler knows by itself, offsets and sizes and the bits of bitfields, is in the initial values of `layout` and `ones`, so
that it can be read without a kernel.

Left out is what cannot be declared: unnamed and zero-width bitfields, and ``packed`` on a single member.
"""

from __future__ import annotations

import hashlib
import itertools
import types
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from random import Random
from typing import Annotated, Any
from typing import Literal as L

import bpfmodel
from bpfmodel import Anonymous, Array, Bits, Bytes, CString, Struct, Union
from bpfmodel.types.scalars import Align

from .data import TESTDATA

SPELLINGS = {  # unsigned and signed
    8: (("__u8", "unsigned char"), ("signed char", "char")),
    16: (("__u16", "unsigned short"), ("__s16", "short")),
    32: (("__u32", "unsigned"), ("__s32", "int")),
    64: (("__u64", "unsigned long"), ("__s64", "long")),
    128: (("unsigned __int128",), ("__int128",)),
}
TYPES, MAX_PLACES = 100, 8
"""How many types a unit has, and how many places of each are tested: more would make the corpus large, and prove little."""
PRELUDE = TESTDATA / "corpus" / "prelude.h"
"""What is done with places, as a macro for each kind: V is the variable, v a pointer to it, p the place, n the next word."""
MAIN = """\
char LICENSE[] SEC("license") = "GPL";
SEC("syscall") int run(void *ctx) { __u64 *s = seen, *g = given; int n = 0; HIDE(s); HIDE(g); ALL return 0; }
"""
KEYWORDS = ("in", "is", "as", "from", "class", "None", "def", "yield")
AWKWARD = (*KEYWORDS, "_a", "__b", "_", "self", "cls", "t", "new", "size", "value", "buffer", "items", "match")

# Types compare by identity, by which the class that is declared for each is kept.


@dataclass(frozen=True, eq=False)
class Scalar:
    """A number. `kind` is the letter by which the program reads and writes it."""

    spelling: str
    annotation: Any
    kind: str
    bits: int
    signed: bool = False


@dataclass(frozen=True, eq=False)
class Enumeration:
    tag: str
    values: tuple[tuple[str, int], ...]
    bits: int = 32
    packed: bool = False
    kind = "I"

    @property
    def signed(self) -> bool:
        return any(value < 0 for _, value in self.values)


@dataclass(frozen=True, eq=False)
class Text:
    """An array of one-byte integers that is a str or bytes in Python."""

    spelling: str
    length: int


@dataclass(frozen=True, eq=False)
class Sequence:
    """An array; a flexible one has length 0."""

    element: Ctype
    length: int


@dataclass(frozen=True, eq=False)
class Named:
    """A typedef."""

    name: str
    target: Ctype


@dataclass(frozen=True, eq=False)
class Member:
    """A member; without a name if it is an anonymous struct or union. `bits` is the width of a bitfield."""

    name: str
    attribute: str
    type: Ctype
    bits: int = 0
    align: int = 0
    qualifier: str = ""


@dataclass(frozen=True, eq=False)
class Record:
    """A struct or union. Of a union, member number `active` is the one that values are built from."""

    keyword: str
    tag: str
    members: tuple[Member, ...]
    packed: bool = False
    align: int = 0
    active: int = 0


Ctype = Scalar | Enumeration | Text | Sequence | Named | Record


def integer(bits: int, signed: bool) -> Any:
    return getattr(bpfmodel, f"{'s' if signed else 'u'}{bits}")


def bare(type: Ctype) -> Ctype:
    """Return the type behind typedefs."""
    while isinstance(type, Named):
        type = type.target
    return type


def declaration(type: Ctype, name: str) -> str:
    """Write the declaration of `name` in C; an empty name gives a type by itself."""
    if isinstance(type, Sequence):
        return declaration(type.element, f"{name}[{type.length or ''}]")
    if isinstance(type, Text):
        return f"{type.spelling} {name}[{type.length}]"
    if isinstance(type, Scalar):
        return f"{type.spelling} {name}"
    if isinstance(type, Enumeration):
        return f"enum {type.tag} {name}"
    if isinstance(type, Named):
        return f"{type.name} {name}"
    return f"{type.keyword} {type.tag} {name}" if type.tag else f"{body(type)} {name}"


def body(type: Record) -> str:
    """Write a struct or union with its members."""
    attributes = ["packed"] * type.packed + [f"aligned({type.align})"] * bool(type.align)
    suffix = f" __attribute__(({', '.join(attributes)}))" if attributes else ""
    return f"{type.keyword}{' ' * bool(type.tag)}{type.tag} {{ {''.join(map(_member, type.members))}}}{suffix}"


def _member(member: Member) -> str:
    text = f"{member.qualifier} {declaration(member.type, member.name)}".strip() + f":{member.bits}" * bool(member.bits)
    if member.align and not member.name:  # behind an anonymous struct, it would be the struct's own alignment
        return f"_Alignas({member.align}) {text}; "
    return text + (f" __attribute__((aligned({member.align})))" if member.align else "") + "; "


def enumeration(type: Enumeration) -> str:
    # The least number of all cannot be written as one literal.
    inside = ", ".join(f"{name} = {f'{n + 1}LL - 1' if n < 0 else f'{n}LL'}" for name, n in type.values)
    return f"enum {type.tag} {{ {inside} }}{' __attribute__((packed))' if type.packed else ''};"


Declared = dict[int, tuple[Ctype, Any]]
"""The classes made so far, by the identity of the types, which are held so that none is given twice."""


def annotation(type: Ctype, made: Declared) -> Any:
    """Write the annotation of a value of this type; classes are made once and kept in `made`."""
    if isinstance(type, Scalar):
        return type.annotation
    if isinstance(type, Named):
        return annotation(type.target, made)
    if isinstance(type, Text):
        return (CString if type.spelling == "char" else Bytes)[L[type.length]]  # type: ignore[valid-type]
    if isinstance(type, Sequence):
        return Array[annotation(type.element, made), L[type.length]]  # type: ignore[misc,valid-type]
    if id(type) not in made:
        made[id(type)] = type, declared(type, made) if isinstance(type, Record) else IntEnum(type.tag, type.values)
    found = made[id(type)][1]
    pinned = isinstance(type, Enumeration) and type.packed
    return Annotated[found, integer(type.bits, type.signed)] if pinned else found


def declared(type: Record, made: Declared) -> Any:
    """Make the class of a struct or union, as the class statement would."""
    name, hints = type.tag or "Inner", dict[str, Any]()
    values: dict[str, Any] = {}
    for member in type.members:
        key = member.attribute
        if key.startswith("__"):
            key = f"_{name}{key}"  # which is what the compiler of a class body does
        hints[key] = _hint(member, made)
        if member.name not in ("", member.attribute):
            values[key] = bpfmodel.field(name=member.name)
    options = {"packed": True} if type.packed else {}
    options |= {"align": type.align} if type.align else {}
    base = Struct if type.keyword == "struct" else Union
    return types.new_class(name, (base,), options, lambda space: space.update(values, __annotations__=hints))


def _hint(member: Member, made: Declared) -> Any:
    hint = annotation(member.type, made)
    if not member.name:
        hint = Anonymous[hint]
    if member.bits:
        hint = Bits[hint, L[member.bits]]  # type: ignore[misc,valid-type]
    return Annotated[hint, Align(member.align)] if member.align else hint


@dataclass(frozen=True)
class Place:
    """A place: `path` in C, `steps` in Python. An upper-case kind is one that the program fills.

    I, P, B, F, D, Q: integer, pointer, bool, float, double, 128 bits. N: a bitfield. S: a struct or array, of which
    only offset and size are compared; Z: a flexible array, which has no size.
    """

    kind: str
    path: str
    steps: tuple[str | int, ...]
    type: Ctype
    bits: int = 0
    active: bool = True
    """Whether values have it: not so in the members of a union from which the value is not built."""

    @property
    def written(self) -> bool:
        return self.kind.isupper() and self.kind not in "SZ"

    @property
    def text(self) -> bool:
        """Whether it is a character of a `Text`, which in Python is no number of its own."""
        return isinstance(self.type, Scalar) and self.type.annotation is None

    @property
    def words(self) -> int:
        """How many words of `seen` and `given` it takes."""
        return 0 if self.kind in "SZ" else 2 if self.kind in "Qq" else 1


def places(type: Record) -> Iterator[Place]:
    """List the places inside a type, of arrays those in the first and the last element."""
    for index, member in enumerate(type.members):
        active = type.keyword == "struct" or index == type.active
        for place in _inside(member.type, member.name, (member.attribute,), member.bits):
            kind = place.kind if (active and member.qualifier != "const") or place.kind in "SZ" else place.kind.lower()
            yield Place(kind, place.path, place.steps, place.type, place.bits, active and place.active)


def _inside(type: Ctype, path: str, steps: tuple[str | int, ...], bits: int) -> Iterator[Place]:
    type = bare(type)
    if isinstance(type, (Scalar, Enumeration)):
        yield Place("N" if bits else type.kind, path, steps, type, bits or type.bits)
        return
    flexible = isinstance(type, Sequence) and not type.length
    if path:
        yield Place("Z" if flexible else "S", path, steps, type)
    if isinstance(type, Record):
        for place in places(type):
            inner = f"{path}.{place.path}" if path else place.path
            yield Place(place.kind, inner, (*steps, *place.steps), place.type, place.bits, place.active)
    elif not flexible:
        element = Scalar("", None, "I", 8, type.spelling != "__u8") if isinstance(type, Text) else type.element
        for index in sorted({0, type.length - 1}):
            yield from _inside(element, f"{path}[{index}]", (*steps, index), 0)


@dataclass(frozen=True)
class Unit:
    """What a name gives: the types, the places in each, and the source."""

    name: str
    types: tuple[Record, ...]
    places: tuple[tuple[Place, ...], ...]
    source: str
    digest: str  # of the source without its last line, which puts it into the object


def unit(name: str) -> Unit:
    """Make up what a name stands for: it is ``types_SEED``, or ``wide_SEED`` if there are to be enums of 8 bytes."""
    maker = _Maker(Random(name), name.startswith("wide_"))
    made = tuple(maker.top(index) for index in range(TYPES))
    chosen = tuple(maker.sample(list(places(type))) for type in made)
    lists = [
        f"#define L{index}(X,V){''.join(f' X(V,{place.kind},{place.path})' for place in inside)}"
        for index, inside in enumerate(chosen)
    ]
    bitfields = [sum(place.kind in "Nn" for place in inside) for inside in chosen]
    measured = [index for index, number in enumerate(bitfields) if number]
    variables = [f"{declaration(type, f'v{index}')};" for index, type in enumerate(made)]
    ones = "".join(f" {declaration(made[index], f't{index}[{bitfields[index]}]')};" for index in measured)
    values = "".join(f" {{ L{index}(ONES, v{index}) }}," for index in measured)
    words = sum(place.words for inside in chosen for place in inside)
    lines = [
        f"/* {name}.bpf.c, generated by tests/support/ctypegen.py. */",
        PRELUDE.read_text().rstrip(), *maker.lines, *lists, *variables,
        f"unsigned short layout[] = {{{''.join(f' LAYOUT({index})' for index in range(TYPES))} }};",
        *([f"struct {{{ones} }} ones = {{{values} }};"] if measured else []),
        f"__u64 seen[{words + 1}], given[{words + 1}];",
        f"#define ALL{''.join(f' RUN({index})' for index in range(TYPES))}",
        MAIN,
    ]  # fmt: skip
    digest = hashlib.sha256((text := "\n".join(lines)).encode()).hexdigest()
    return Unit(name, made, chosen, f'{text}char digest[] = "{digest}";\n', digest)


class _Maker:
    def __init__(self, random: Random, wide: bool) -> None:
        self.random, self.wide = random, wide
        self.lines: list[str] = []  # the definitions, each before its first use
        self.enums: list[Enumeration] = []
        self.records: list[Record] = []
        self.typedefs: list[Named] = []
        self.tags = itertools.count()
        self.own = ""  # what a type may point to, itself

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def sample(self, found: list[Place]) -> tuple[Place, ...]:
        """Keep not too many places, in their order, and those of bitfields first of all."""
        ranked = sorted(found, key=lambda place: (place.kind not in "Nn", self.random.random()))
        kept = {place.path for place in ranked[:MAX_PLACES]}
        return tuple(place for place in found if place.path in kept)

    def top(self, index: int) -> Record:
        keyword = "struct" if self.chance(0.85) else "union"
        self.own = f"{keyword} T{index}"
        made = self.record(keyword, f"T{index}", 2, set())
        if made.keyword == "struct" and self.chance(0.06):
            element = self.scalar() if self.chance(0.7) else self.enum()
            made = replace(made, members=(*made.members, Member("tail", "tail", Sequence(element, 0))), active=0)
        self.lines.append(f"{body(made)};")
        return made

    def record(self, keyword: str, tag: str, depth: int, names: set[str]) -> Record:
        """Make a struct or union; `names` are those taken, to which an anonymous one adds its own."""
        members: list[Member] = []
        count = self.random.choice((1, 2, 2, 3, 3, 4, 5) if depth == 2 else (1, 2, 2, 3))
        while len(members) < count:
            if self.chance(0.2):
                members += (self.bitfield(names) for _ in range(self.random.randint(1, 3)))
            elif depth and self.chance(0.1):
                members.append(self.anonymous(len(names), depth, names))
            else:
                members.append(self.member(depth, names))
        packed, align = self.chance(0.15), self.random.choice((2, 4, 8, 16)) if self.chance(0.1) else 0
        return Record(keyword, tag, tuple(members), packed, align, self.random.randrange(len(members)))

    def name(self, names: set[str]) -> tuple[str, str]:
        """Choose a name that is not taken; Python's own words go by another one, or by themselves."""
        pool = AWKWARD if self.chance(0.15) else "abcdefghjkl"
        name = self.random.choice([name for name in pool if name not in names] or [f"m{len(names)}"])
        names.add(name)
        return name, f"{name}_" if name in KEYWORDS and self.chance(0.5) else name

    def alignment(self) -> int:
        return self.random.choice((1, 2, 4, 8, 8, 16, 32)) if self.chance(0.08) else 0

    def member(self, depth: int, names: set[str]) -> Member:
        qualifier = self.random.choice(("const", "volatile")) if self.chance(0.1) else ""
        return Member(*self.name(names), self.type(depth), 0, self.alignment(), qualifier)

    def anonymous(self, number: int, depth: int, names: set[str]) -> Member:
        inner = self.record(self.random.choice(("struct", "union")), "", depth - 1, names)
        return Member("", f"in{number}", inner, 0, self.alignment())

    def bitfield(self, names: set[str]) -> Member:
        name, pick = self.name(names), self.random.random()
        if pick < 0.12:
            return Member(*name, Scalar("_Bool", bpfmodel.boolean, "B", 1), 1, self.alignment())
        type = self.enum() if pick < 0.25 else self.integer((8, 16, 32, 32, 64))
        bits = self.random.choice((1, type.bits, self.random.randint(1, type.bits), self.random.randint(1, 8)))
        qualifier = "volatile" if self.chance(0.05) else ""
        return Member(*name, type, min(bits, type.bits), self.alignment(), qualifier)

    def type(self, depth: int) -> Ctype:
        pick = self.random.random()
        made: Ctype
        if 0.5 <= pick < 0.6:
            made = self.enum()
        elif pick < 0.5 or (pick >= 0.68 and not depth):
            made = self.scalar()
        elif pick < 0.68:
            made = Text(self.random.choice(("char", "__u8", "signed char")), self.random.randint(1, 9))
        elif pick < 0.82:
            made = Sequence(self.type(depth - 1), self.random.randint(1, 4))
        else:
            made = self.nested(depth)
        return self.named(made) if self.chance(0.08) else made

    def named(self, target: Ctype) -> Ctype:
        if self.typedefs and self.chance(0.3):
            return self.random.choice(self.typedefs)
        made = Named(f"d{len(self.typedefs)}", target)
        self.lines.append(f"typedef {declaration(target, made.name)};")
        self.typedefs.append(made)
        return made

    def nested(self, depth: int) -> Record:
        if self.records and self.chance(0.4):
            return self.random.choice(self.records)
        tag = f"n{next(self.tags)}" if self.chance(0.6) else ""
        made = self.record(self.random.choice(("struct", "struct", "union")), tag, depth - 1, set())
        if tag:
            self.records.append(made)
            self.lines.append(f"{body(made)};")
        return made

    def integer(self, sizes: tuple[int, ...]) -> Scalar:
        bits, signed = self.random.choice(sizes), self.chance(0.5)
        spelling = self.random.choice(SPELLINGS[bits][signed])
        return Scalar(spelling, integer(bits, signed), "Q" if bits == 128 else "I", bits, signed)

    def scalar(self) -> Scalar:
        pick = self.random.random()
        if pick < 0.1:
            return Scalar("_Bool", bpfmodel.boolean, "B", 8)
        if pick < 0.2:
            single = self.chance(0.5)
            return Scalar("float", bpfmodel.f32, "F", 32) if single else Scalar("double", bpfmodel.f64, "D", 64)
        if pick < 0.3:
            target = self.random.choice(("void", "const void", "char", self.own))
            return Scalar(f"{target} *", bpfmodel.pointer, "P", 64)
        return self.integer((8, 8, 16, 16, 32, 32, 32, 64, 64, 128))

    def enum(self) -> Enumeration:
        if len(self.enums) > 3 and self.chance(0.7):
            return self.random.choice(self.enums)
        low, high = self.random.choice([(0, 3), (0, 200), (-3, 3), (-(1 << 31), (1 << 31) - 1), (0, (1 << 32) - 1)])
        bits, packed = 32, self.chance(0.25)
        if self.wide and self.chance(0.4):
            low, high = self.random.choice([(0, 1 << 32), (-1, 1 << 31), (-(1 << 63), 5), (0, (1 << 63) - 1)])
            bits = 64
        values = [low, high, *(self.random.randint(low, high) for _ in range(self.random.randint(0, 2)))]
        if packed:
            bits = next(n for n in (8, 16, 32, 64) if -low <= 1 << n - 1 and high < 1 << (n - 1 if low < 0 else n))
        tag = f"e{len(self.enums)}"
        made = Enumeration(tag, tuple((f"{tag}_{i}", value) for i, value in enumerate(values)), bits, packed)
        self.enums.append(made)
        self.lines.append(enumeration(made))
        return made
