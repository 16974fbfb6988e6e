"""Random C types: the classes declared for them have the layout the compiler gives, and the same values on both sides.

The stored corpus is read everywhere; where clang is, new types are made up in each run. Of an object that fails the name
is told, and `make -C tests/testdata/corpus NAME.bpf.c NAME.bpf.o` brings it back.
"""

from __future__ import annotations

import itertools
import math
import os
import random
import re
import shutil
import struct
import subprocess
import types
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from typing import Literal as L

import pytest
from support import ctypegen
from support.ctypegen import Enumeration, Place, Record, Scalar, Sequence, Text, Unit, annotation, bare
from support.data import TESTDATA

from bpfmodel import Array, BpfObjects, CollectionSpec, MismatchError, Program, Var, u64
from bpfmodel.btf import kinds
from bpfmodel.btf.layout import size_of
from bpfmodel.engine import Engine

CORPUS = TESTDATA / "corpus"
NAMES = sorted(path.name.removesuffix(".bpf.o") for path in CORPUS.glob("*.bpf.o"))
LIVE_TYPES = int(os.environ.get("BPFMODEL_TYPES", "600"))
WORD = (1 << 64) - 1


class Case(NamedTuple):
    """An object, what it was made of, and the classes declared for that."""

    unit: Unit
    spec: CollectionSpec
    made: ctypegen.Declared
    objects: Any

    def cls(self, index: int) -> Any:
        return annotation(self.unit.types[index], self.made)


def case_of(path: Path) -> Case:
    unit = ctypegen.unit(path.name.removesuffix(".bpf.o"))
    spec, made = CollectionSpec.from_file(path), {}
    words = Array[u64, L[count_words(unit) + 1]]  # type: ignore[misc]
    fields: dict[str, Any] = {f"v{i}": Var[annotation(type, made)] for i, type in enumerate(unit.types)}
    fields |= {"seen": Var[words], "given": Var[words], "run": Program}
    return Case(
        unit, spec, made, types.new_class("Objects", (BpfObjects,), {}, lambda s: s.update(__annotations__=fields))
    )


@cache
def stored(name: str) -> Case:
    return case_of(CORPUS / f"{name}.bpf.o")


def count_words(unit: Unit) -> int:
    return sum(place.words for inside in unit.places for place in inside)


# What the compiler says of the layout, and what the classes say.


class Found(NamedTuple):
    """Where a place lies: its first bit, and how many it has."""

    offset: int
    bits: int


def located(type: kinds.Type, steps: tuple[str | int, ...]) -> Found:
    """Follow the steps through a declared type."""
    offset, bits = 0, 0
    for step in steps:
        bare = kinds.strip(type)
        if isinstance(bare, kinds.Array):
            type, bits = bare.element, 0
            offset += int(step) * size_of(type) * 8
        else:
            assert isinstance(bare, kinds.Composite)
            member = next(member for member in bare.members if member.attribute == step)
            type, bits = member.type, member.bits
            offset += member.offset
    return Found(offset, bits or size_of(type) * 8)


class Told:
    """What the compiler left in the object: `layout` has offsets and sizes, `ones` bitfields that are all ones."""

    def __init__(self, spec: CollectionSpec) -> None:
        layout, ones = spec.variables["layout"], spec.variables.get("ones")
        self.numbers = iter(struct.unpack(f"<{layout.size // 2}H", layout.value))
        self.raw = ones.value if ones else b""
        holder = kinds.strip(ones.type) if ones and ones.type else None
        members = holder.members if isinstance(holder, kinds.Composite) else ()
        self.starts = {member.name: member.offset // 8 for member in members}

    def type(self) -> tuple[int, int]:
        return next(self.numbers), next(self.numbers)

    def place(self) -> Found:
        return Found(next(self.numbers) * 8, next(self.numbers) * 8)

    def bitfield(self, index: int, number: int, size: int) -> Found:
        start = self.starts[f"t{index}"] + number * size
        ones = int.from_bytes(self.raw[start : start + size], "little")
        first = (ones & -ones).bit_length() - 1
        assert ones >> first == (1 << ones.bit_count()) - 1, "the bits of a bitfield lie side by side"
        return Found(first, ones.bit_count())


def misplaced(case: Case) -> list[str]:
    """Compare every place of every type with what the compiler says of it."""
    told, wrong = Told(case.spec), []
    for index, inside in enumerate(case.unit.places):
        type = case.cls(index).__bpf_type__()
        size, align = told.type()
        if (type.size, type.align) != (size, align):
            wrong.append(f"v{index}: {type.size} bytes aligned to {type.align}, and {size} to {align} in C")
        numbers = itertools.count()
        for place in inside:
            bitfield = place.kind in "Nn"
            there = told.bitfield(index, next(numbers), size) if bitfield else told.place()
            here = located(type, place.steps)
            if here != there:
                wrong.append(f"v{index}.{place.path}: {here}, and in C {there}")
    assert next(told.numbers, None) is None, "everything was compared"
    return wrong


def unmatched(case: Case) -> list[str]:
    """Compare what is declared with the object's BTF."""
    try:
        case.objects.check(case.spec)
    except MismatchError as error:
        return [str(finding) for finding in error.findings]
    return []


# Values, and the words by which the program knows them.


def number(source: random.Random, type: Scalar | Enumeration, bits: int) -> Any:
    """Make up a number, rather one at the edge of what fits."""
    if type.kind == "B":
        return source.random() < 0.5
    if type.kind in "FD":
        raw = source.choice((0.0, -1.5, 3.25, source.uniform(-1e9, 1e9), 1e-40, math.inf))
        return struct.unpack("<f", struct.pack("<f", raw))[0] if type.kind == "F" else raw
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if type.signed else (0, (1 << bits) - 1)
    edges = [low, high, 0, 1, -1, source.randint(low, high), source.randint(low, high)]
    if isinstance(type, Enumeration):
        edges += [value for _, value in type.values] * 2
    return source.choice([value for value in edges if low <= value <= high])


def text(source: random.Random, type: Text) -> str | bytes:
    raw = bytes(source.randint(1, 255) for _ in range(type.length))
    return raw.decode("utf-8", "surrogateescape") if type.spelling == "char" else raw


def value(source: random.Random, type: ctypegen.Ctype, made: ctypegen.Declared, tail: int, bits: int = 0) -> Any:
    """Make up a value; `tail` is how many elements a flexible array has."""
    type = bare(type)
    if isinstance(type, Text):
        return text(source, type)
    if isinstance(type, Sequence):
        return [value(source, type.element, made, tail) for _ in range(type.length or tail)]
    if not isinstance(type, Record):
        return number(source, type, bits or type.bits)
    members = type.members if type.keyword == "struct" else (type.members[type.active],)
    values = {member.attribute: value(source, member.type, made, tail, member.bits) for member in members}
    return annotation(type, made)(**values)


def words(place: Place, value: Any) -> list[int]:
    """Return what the program makes of a value."""
    if place.kind in "Ff":
        return [int.from_bytes(struct.pack("<f", value), "little")]
    if place.kind in "Dd":
        return [int.from_bytes(struct.pack("<d", value), "little")]
    if place.text and getattr(place.type, "signed", False) and value > 127:
        value -= 256  # a byte in Python, and a signed char in C
    return [int(value) >> 64 * index & WORD for index in range(place.words)]


def gift(source: random.Random, place: Place) -> list[int]:
    """Make up words to store in a place; more bits than fit are cut off, as C does."""
    if place.kind in "FD":
        assert isinstance(place.type, Scalar)
        return words(place, number(source, place.type, 0))
    return [source.choice((source.getrandbits(64), 1, 0, WORD)) | place.text for _ in range(place.words)]


def stored_words(place: Place, given: list[int]) -> list[int]:
    """Return what the program reads from a place after it has stored words there."""
    if place.kind in "FD":
        return given
    if isinstance(place.type, Scalar) and place.type.kind == "B":
        return [int(given[0] != 0)]
    whole = sum(word << 64 * index for index, word in enumerate(given)) & (1 << place.bits) - 1
    if getattr(place.type, "signed", False) and whole >> place.bits - 1:
        whole -= 1 << place.bits
    return [whole >> 64 * index & WORD for index in range(place.words)]


def inside(value: Any, steps: tuple[str | int, ...]) -> Any:
    """Read what lies inside a value or a reference."""
    for step in steps:
        if isinstance(step, str):
            value = getattr(value, step)
        elif isinstance(value, str):
            raw = value.encode("utf-8", "surrogateescape")
            value = raw[step] if step < len(raw) else 0
        else:
            value = value[step]
    return value


def put(holder: Any, steps: tuple[str | int, ...], value: Any) -> None:
    """Store through a reference."""
    *before, last = steps
    holder = inside(holder, tuple(before))
    if isinstance(last, str):
        setattr(holder, last, value)
    else:
        holder[last] = value


def promoted(steps: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Leave out the anonymous members, as C does."""
    return tuple(step for step in steps if not re.fullmatch(r"in\d+", str(step)) or isinstance(step, int))


class Machine:
    """A loaded object, and what is done with all of its types at once."""

    def __init__(self, case: Case, objects: Any) -> None:
        self.case, self.objects = case, objects
        self.source = random.Random(case.unit.name)
        self.wrong: list[str] = []

    def handles(self) -> Iterator[tuple[int, Any, tuple[Place, ...]]]:
        for index, inside in enumerate(self.case.unit.places):
            yield index, getattr(self.objects, f"v{index}"), inside

    def expect(self, label: str, found: Any, wanted: Any) -> None:
        if found != wanted:
            self.wrong.append(f"{label}: {found!r}, expected {wanted!r}")

    @contextmanager
    def telling(self, label: str) -> Iterator[None]:
        """Tell of an error as of any other difference, and go on with what comes next."""
        try:
            yield
        except Exception as error:
            self.wrong.append(f"{label}: {type(error).__name__}: {error}")

    def run(self) -> None:
        """Let the program read all places, and fill them with words that were made up; compare both."""
        given: list[int] = []
        befores = []
        for _, handle, places in self.handles():
            befores.append(handle.get())
            given += [word for place in places for word in (gift(self.source, place) if place.words else [])]
        self.objects.given.set([*given, 0])
        self.objects.run.run()
        seen, at = self.objects.seen.get(), 0
        for index, handle, places in self.handles():
            after = handle.get()
            for place in places:
                before, at = at, at + place.words
                if place.words:
                    with self.telling(f"v{index}.{place.path}"):
                        self.compare(index, place, befores[index], seen[before:at], after, given[before:at])

    def compare(self, index: int, place: Place, old: Any, seen: list[int], after: Any, given: list[int]) -> None:
        """Compare a place with what the program read there, and then with what it stored."""
        label = f"v{index}.{place.path}"
        found = inside(old, place.steps)
        live = inside(getattr(self.objects, f"v{index}").ref(), promoted(place.steps))
        new = inside(after, place.steps)
        self.expect(f"{label} by its ref", repr(live), repr(new))
        if place.active:
            self.expect(label, words(place, found), seen)
            wanted = stored_words(place, given) if place.written else seen
            self.expect(f"{label} after the program", words(place, new), wanted)
        elif not place.text and found == found:  # in the bytes of something else, a text may end early, a float be NaN
            self.expect(label, words(place, found), [int(word != 0) for word in seen] if found is True else seen)

    def set_all(self) -> None:
        for index, handle, _ in self.handles():
            tail = next((m.type.length for m in handle.type.members if m.attribute == "tail"), 0)
            with self.telling(f"v{index}"):
                made = value(self.source, self.case.unit.types[index], self.case.made, tail)
                handle.set(made)
                self.expect(f"v{index} read back", handle.get(), made)

    def set_places(self) -> None:
        """Set each place by itself, through a reference, on the way that leaves anonymous members out."""
        for index, handle, places in self.handles():
            for place in places:
                if place.active and place.words:
                    with self.telling(f"v{index}.{place.path} set through a ref"):
                        self.set_place(f"v{index}.{place.path} set through a ref", handle.ref(), place)

    def set_place(self, label: str, reference: Any, place: Place) -> None:
        steps = promoted(place.steps)
        if place.text:
            steps = steps[:-1]  # a text is set as a whole
            made: Any = backwards(inside(reference, steps))
        else:
            assert isinstance(place.type, (Scalar, Enumeration))
            made = number(self.source, place.type, place.bits)
        put(reference, steps, made)
        self.expect(label, inside(reference, steps), made)


def backwards(value: str | bytes) -> str | bytes:
    if isinstance(value, bytes):
        return value[::-1]
    return value.encode("utf-8", "surrogateescape")[::-1].decode("utf-8", "surrogateescape")


def disagreements(case: Case, kernel: Engine) -> list[str]:
    """Let both sides write all variables and read what the other wrote."""
    with case.objects.load_and_assign(case.spec, engine=kernel) as objects:
        machine = Machine(case, objects)
        for store in (machine.set_all, machine.set_places, machine.set_all):
            store()
            machine.run()
        return machine.wrong


def fail_if(case: Case, wrong: list[str]) -> None:
    if wrong:
        shown = "\n  ".join(wrong[:20])
        pytest.fail(f"{case.unit.name}.bpf.o has {len(wrong)} differences:\n  {shown}", pytrace=False)


def test_the_corpus_is_large() -> None:
    assert sum(len(stored(name).unit.types) for name in NAMES) >= 2000


@pytest.mark.parametrize("name", NAMES)
def test_the_generator_still_makes_the_source_of_each_stored_object(name: str) -> None:
    case = stored(name)
    assert case.spec.variables["digest"].get() == case.unit.digest


@pytest.mark.parametrize("name", NAMES)
def test_what_is_declared_matches_the_stored_object(name: str) -> None:
    fail_if(stored(name), unmatched(stored(name)))


@pytest.mark.parametrize("name", NAMES)
def test_every_place_of_a_stored_type_lies_where_the_compiler_put_it(name: str) -> None:
    fail_if(stored(name), misplaced(stored(name)))


@pytest.mark.kernel
@pytest.mark.parametrize("name", NAMES)
def test_both_sides_read_what_the_other_wrote_into_stored_types(name: str, kernel: Engine) -> None:
    fail_if(stored(name), disagreements(stored(name), kernel))


def missing() -> str:
    """Say what is not installed that making new types takes."""
    return next((f"{tool} is not installed" for tool in ("make", "clang", "llvm-strip") if not shutil.which(tool)), "")


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """Types that nobody has seen before, compiled by the rule that makes the corpus."""
    if missing():
        pytest.skip(f"cannot compile new types: {missing()}")
    where, seeds = tmp_path_factory.mktemp("corpus"), random.SystemRandom()
    kinds = itertools.cycle(("types", "types", "wide" if shutil.which("clang-19") else "types"))
    names = [f"{next(kinds)}_{seeds.randrange(10**9)}" for _ in range(-(-LIVE_TYPES // ctypegen.TYPES))]
    shutil.copy(CORPUS / "Makefile", where)
    for name in names:
        (where / f"{name}.bpf.c").write_text(ctypegen.unit(name).source)
    done = subprocess.run(
        ["make", "-j2", "-C", str(where), *(f"{name}.bpf.o" for name in names)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return [case_of(where / f"{name}.bpf.o") for name in names]


def test_new_types_are_declared_as_the_compiler_lays_them_out(made_up: list[Case]) -> None:
    for case in made_up:
        fail_if(case, unmatched(case) + misplaced(case))


@pytest.mark.kernel
def test_both_sides_read_what_the_other_wrote_into_new_types(made_up: list[Case], kernel: Engine) -> None:
    for case in made_up:
        fail_if(case, disagreements(case, kernel))
