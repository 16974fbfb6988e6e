"""Declarations that are nearly right: one slip anywhere inside a type is one finding, and its path leads to the slip.

The types are those of the corpus, see test_compiler_layout.py. Each kind of slip is made once in each of them, if it can
be made there, at a member chosen by chance. What only follows from the slip, members that lie elsewhere and sizes that
differ, is not told.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any, NamedTuple

import pytest
from support import ctypegen
from support.ctypegen import (
    Ctype,
    Enumeration,
    Member,
    Named,
    Record,
    Scalar,
    Sequence,
    Text,
    annotation,
    bare,
    integer,
)
from support.data import TESTDATA

from bpfmodel import BpfObjects, CollectionSpec, MismatchError, Var, boolean, f32, f64, pointer
from bpfmodel.btf.compare import reachable

CORPUS = TESTDATA / "corpus"
NAMES = sorted(path.name.removesuffix(".bpf.o") for path in CORPUS.glob("*.bpf.o"))
FLOAT, DOUBLE = Scalar("float", f32, "F", 32), Scalar("double", f64, "D", 64)
BOOL, POINTER = Scalar("_Bool", boolean, "B", 8), Scalar("void *", pointer, "P", 64)

Trail = tuple[int, ...]


class Site(NamedTuple):
    """A member somewhere inside a type: which one at each level, and the path to what holds it.

    `owner` is the struct or union that has the path: the holder, or what that is an anonymous member of.
    """

    trail: Trail
    path: str
    holder: Record
    owner: Record

    @property
    def index(self) -> int:
        return self.trail[-1]

    @property
    def member(self) -> Member:
        return self.holder.members[self.index]

    def with_member(self, **changes: Any) -> Record:
        """Return the holder with this member changed."""
        members = list(self.holder.members)
        members[self.index] = replace(self.member, **changes)
        return replace(self.holder, members=tuple(members))


class Slip(NamedTuple):
    """What the holder is after a slip, and where in the holder it should be told."""

    holder: Record
    path: str


def sites(type: Ctype, path: str, trail: Trail = (), owner: Record | None = None) -> Iterator[Site]:
    """List all members inside a type, those of anonymous members by the path they have in C."""
    type = bare(type)
    if isinstance(type, Sequence):
        yield from sites(type.element, f"{path}[]", trail)
    elif isinstance(type, Record):
        owner = owner or type
        for index, member in enumerate(type.members):
            inner = (*trail, index)
            if member.name:
                yield Site(inner, path, type, owner)
                yield from sites(member.type, f"{path}.{member.name}", inner)
            else:
                yield from sites(member.type, path, inner, owner)


def rebuilt(type: Ctype, trail: Trail, holder: Record) -> Ctype:
    """Return the type with another struct or union in place of that to whose member the trail leads."""
    if len(trail) == 1 and isinstance(type, Record):
        return holder
    if isinstance(type, Named):
        return rebuilt(type.target, trail, holder)
    if isinstance(type, Sequence):
        return replace(type, element=rebuilt(type.element, trail, holder))
    assert isinstance(type, Record)
    changed = list(type.members)
    changed[trail[0]] = replace(changed[trail[0]], type=rebuilt(changed[trail[0]].type, trail[1:], holder))
    return replace(type, members=tuple(changed))


def at(site: Site, **changes: Any) -> Slip:
    return Slip(site.with_member(**changes), f".{site.member.name}")


def number(site: Site) -> Scalar | None:
    """Return the type of a member that is an integer, bitfields included."""
    type = bare(site.member.type)
    return type if isinstance(type, Scalar) and type.kind in "IQ" else None


def int_of(bits: int, signed: bool) -> Scalar:
    return Scalar("", integer(bits, signed), "I", bits, signed)


# The slips; each returns nothing where it cannot be made.


def renamed(site: Site, random: Random) -> Slip | None:
    return Slip(site.with_member(name="zz", attribute="zz"), ".zz")


def left_out(site: Site, random: Random) -> Slip | None:
    index, members = site.index, site.holder.members
    if len(members) == 1:
        return None
    return Slip(replace(site.holder, members=(*members[:index], *members[index + 1 :])), f".{site.member.name}")


def retyped(site: Site, random: Random) -> Slip | None:
    """Another type of the same size and alignment."""
    type = bare(site.member.type)
    if site.member.bits or not isinstance(type, (Scalar, Enumeration, Text)):
        return None
    if isinstance(type, Text):
        return at(site, type=Sequence(BOOL, type.length))
    others = {"P": [int_of(64, False), DOUBLE], "B": [int_of(8, False)], "F": [int_of(32, True)], "D": [POINTER]}
    numbers = {8: [BOOL], 32: [FLOAT], 64: [DOUBLE, POINTER] if isinstance(type, Scalar) else [DOUBLE]}
    choices = others.get(type.kind) or numbers.get(type.bits)
    return at(site, type=random.choice(choices)) if choices else None


def retyped_to_bytes(site: Site, random: Random) -> Slip | None:
    """Another type of the same size, which may lie anywhere: members behind it, and structs around it, may move."""
    type = bare(site.member.type)
    if site.member.bits or not isinstance(type, (Scalar, Enumeration)) or type.bits == 8:
        return None
    return at(site, type=Text("__u8", type.bits // 8))


def resized(site: Site, random: Random) -> Slip | None:
    type = bare(site.member.type)
    if site.member.bits or not isinstance(type, Scalar) or type.kind in "BP":
        return None
    if type.kind in "FD":
        return at(site, type=DOUBLE if type.kind == "F" else FLOAT)
    return at(site, type=int_of(random.choice([n for n in (8, 16, 32, 64, 128) if n != type.bits]), type.signed))


def resigned(site: Site, random: Random) -> Slip | None:
    type = number(site)
    return at(site, type=int_of(type.bits, not type.signed)) if type else None


def made_a_bitfield(site: Site, random: Random) -> Slip | None:
    type = number(site)
    if not type or site.member.bits or type.bits == 128:
        return None
    return at(site, bits=random.randint(1, type.bits))


def made_whole(site: Site, random: Random) -> Slip | None:
    return at(site, bits=0) if site.member.bits else None


def widened(site: Site, random: Random) -> Slip | None:
    """A bitfield of one bit more or less."""
    type, bits = number(site), site.member.bits
    if not type or not bits or type.bits == 1:
        return None
    return at(site, bits=random.choice([n for n in (bits - 1, bits + 1) if 1 <= n <= type.bits]))


def of_another_length(site: Site, random: Random) -> Slip | None:
    """An array of one element more or less, in one of its dimensions."""
    type = bare(site.member.type)
    if isinstance(type, Text):
        return at(site, type=replace(type, length=type.length + 1))
    if not isinstance(type, Sequence):
        return None
    element = bare(type.element)
    if isinstance(element, Sequence) and random.random() < 0.5:
        return at(site, type=replace(type, element=replace(element, length=element.length + 1)))
    return at(site, type=replace(type, length=type.length + random.choice((1, 1, -1) if type.length > 1 else (1,))))


def of_another_value(site: Site, random: Random) -> Slip | None:
    """An enum with one other value, that is still as wide and has the same sign."""
    type, path = bare(site.member.type), f".{site.member.name}"
    while isinstance(type, Sequence):
        type, path = bare(type.element), f"{path}[]"
    if not isinstance(type, Enumeration):
        return None
    values = list(type.values)
    index = random.randrange(len(values))
    name, value = values[index]
    numbers = [number for _, number in values]
    others = [value + 1, value - 1, value ^ 1 << random.randrange(type.bits - 1)]  # one bit, and perhaps a high one
    values[index] = name, random.choice([n for n in others if min(numbers) <= n <= max(numbers)])
    changed = replace(type, values=tuple(values))
    if changed.signed != type.signed or (type.bits == 64 and not type.packed and fits(changed)):
        return None
    return Slip(site.with_member(type=with_element(site.member.type, changed)), f"{path}.{name}")


def fits(type: Enumeration) -> bool:
    """Tell whether 4 bytes are enough for an enum."""
    numbers = [number for _, number in type.values]
    return min(numbers) >= -(1 << 31) and max(numbers) < 1 << 32 - type.signed


def with_element(type: Ctype, element: Ctype) -> Ctype:
    """Return an array type with other elements inside of all dimensions."""
    type = bare(type)
    return replace(type, element=with_element(type.element, element)) if isinstance(type, Sequence) else element


def swapped(site: Site, random: Random) -> Slip | None:
    """A member and the one behind it. The first to lie elsewhere is told."""
    index, members = site.index, list(site.holder.members)
    if site.holder.keyword == "union" or index + 1 == len(members) or not members[index + 1].name:
        return None
    if isinstance(members[index + 1].type, Sequence) and not members[index + 1].type.length:
        return None  # a flexible array can only be the last
    members[index : index + 2] = members[index + 1], members[index]
    return first_moved(site, replace(site.holder, members=tuple(members)))


def aligned(site: Site, random: Random) -> Slip | None:
    """A member that is aligned more strictly, so that it lies elsewhere, and maybe others before it."""
    return first_moved(site, site.with_member(align=random.choice((2, 4, 8, 16, 32))))


def packed(site: Site, random: Random) -> Slip | None:
    """A struct that is packed in C and not in Python, or the other way round."""
    return first_moved(site, replace(site.holder, packed=not site.holder.packed))


def of_another_alignment(site: Site, random: Random) -> Slip | None:
    """A struct with other padding at its end, which has no member that could be told: the struct itself is."""
    changed = replace(site.holder, align=random.choice((2, 4, 8, 16, 32)))
    size, other = (annotation(type, {}).__bpf_type__().size for type in (site.holder, changed))
    return Slip(changed, "") if site.holder is site.owner and size != other else None


def first_moved(site: Site, changed: Record) -> Slip | None:
    """Say which member is the first to lie elsewhere, in C's order: the library tells just that one."""
    before, after = (
        {member.name: member.offset for member in reachable(annotation(type, {}).__bpf_type__())}
        for type in (site.owner, replaced(site.owner, site.holder, changed))
    )
    moved = [name for name, offset in before.items() if after[name] != offset]
    return Slip(changed, f".{moved[0]}") if moved else None


def replaced(owner: Record, holder: Record, changed: Record) -> Record:
    """Put another struct or union in the place of one that is among the anonymous members of the owner."""
    if owner is holder:
        return changed
    members = (
        member if member.name else replace(member, type=replaced(member.type, holder, changed))
        for member in owner.members
        if isinstance(member.type, Record) or member.name
    )
    return replace(owner, members=tuple(members))


SLIPS: list[Callable[[Site, Random], Slip | None]] = [
    renamed, left_out, retyped, retyped_to_bytes, resized, resigned, made_a_bitfield, made_whole, widened,
    of_another_length, of_another_value, swapped, aligned, packed, of_another_alignment,
]  # fmt: skip


@cache
def stored(name: str) -> tuple[ctypegen.Unit, CollectionSpec]:
    return ctypegen.unit(name), CollectionSpec.from_file(CORPUS / f"{name}.bpf.o")


def slips(make: Callable[[Site, Random], Slip | None], name: str) -> Iterator[tuple[str, Ctype, str]]:
    """Make the slip in each type of an object: the variable, the type nearly as it is, and the path that should be told."""
    random = Random(f"{make.__name__} {name}")
    for number, type in enumerate(stored(name)[0].types):
        found = list(sites(type, f"v{number}"))
        random.shuffle(found)
        made = ((site, make(site, random)) for site in found)
        site, slip = next(((site, slip) for site, slip in made if slip), (None, None))
        if site and slip:
            # Of an array the elements of which differ as a whole, the member that holds it is named.
            yield f"v{number}", rebuilt(type, site.trail, slip.holder), (site.path + slip.path).rstrip("[]")


def told(variable: str, type: Ctype, spec: CollectionSpec) -> list[str]:
    """Return the paths of all findings for a variable declared with this type."""
    hints = {variable: Var[annotation(type, {})]}
    objects: Any = types.new_class("Objects", (BpfObjects,), {}, lambda space: space.update(__annotations__=hints))
    try:
        objects.check(spec)
    except MismatchError as error:
        return [finding.path for finding in error.findings]
    return []


@pytest.mark.parametrize("make", SLIPS, ids=lambda make: make.__name__)
def test_one_slip_is_one_finding_and_its_path_leads_there(make: Callable[[Site, Random], Slip | None]) -> None:
    count, wrong = 0, []
    for name in NAMES:
        for variable, type, path in slips(make, name):
            count += 1
            paths = told(variable, type, stored(name)[1])
            if paths != [path]:
                wrong.append(f"{name} {path}: told {paths or 'nothing'}, declared as {shown(type)}")
    assert count >= 300, "the corpus has types in which the slip can be made"
    if wrong:
        pytest.fail(f"{len(wrong)} of {count} slips are told otherwise:\n  " + "\n  ".join(wrong[:20]), pytrace=False)


def shown(type: Ctype) -> str:
    assert isinstance(type, Record)
    return ctypegen.body(type)


def test_without_a_slip_nothing_is_told() -> None:
    unit, spec = stored(NAMES[0])
    assert [told(f"v{index}", type, spec) for index, type in enumerate(unit.types)] == [[]] * ctypegen.TYPES
