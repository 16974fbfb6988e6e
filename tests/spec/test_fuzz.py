"""Broken objects: whatever the bytes, reading ends in a spec or a BpfModelError, within a second and within bounds.

Mutations are made from a seed, so that a failure names the one input that shows it:
``BPFMODEL_FUZZ=10`` makes ten times as many, ``input_of(object, seed)`` makes one of them again.
"""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.data import TESTDATA

import bpfmodel
from bpfmodel import BpfModelError, CollectionSpec

OBJECTS = sorted(path.name.partition(".")[0] for path in TESTDATA.glob("*.bpf.o"))
ROUNDS = 1000 * int(os.environ.get("BPFMODEL_FUZZ", "1"))
LIMIT = 1.0
"""Seconds that one input may take."""
MEMORY = 1 << 30
"""Bytes of address space for a whole run, Python included."""

INTERESTING = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)
WORDS = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFF8, 0x10000, 0xFFFF, 24, 64)
LONGS = (0, 1, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, (1 << 64) - 64)


def original(name: str) -> bytes:
    return (TESTDATA / f"{name}.bpf.o").read_bytes()


def input_of(name: str, seed: int) -> bytes:
    """Make one broken object, always the same one for a name and a seed."""
    rng = random.Random(f"{name}/{seed}")
    data = bytearray(original(name))
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        rng.choice(MUTATIONS)(data, rng)
    return bytes(data)


def flip_bit(data: bytearray, rng: random.Random) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def overwrite_byte(data: bytearray, rng: random.Random) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice(INTERESTING)


def overwrite_word(data: bytearray, rng: random.Random) -> None:
    if len(data) >= 8:
        at = rng.randrange(len(data) - 7) & ~3
        data[at : at + 4] = struct.pack(rng.choice("<>") + "I", rng.choice(WORDS))


def splice(data: bytearray, rng: random.Random) -> None:
    """Copy bytes of this object, or of another one, over some of its own, or in between."""
    other = data if rng.random() < 0.5 else original(rng.choice(OBJECTS))
    if not data or not other:
        return
    size = rng.choice((4, 8, 12, 24, 64, 256))
    source, target = rng.randrange(len(other)), rng.randrange(len(data))
    width = size if rng.random() < 0.8 else 0
    data[target : target + width] = bytes(other[source : source + size])


def cut_out(data: bytearray, rng: random.Random) -> None:
    if data:
        at = rng.randrange(len(data))
        del data[at : at + rng.choice((1, 4, 12, 24, 64))]


def truncate(data: bytearray, rng: random.Random) -> None:
    if data:
        del data[rng.randrange(len(data)) :]


def attack_file_header(data: bytearray, rng: random.Random) -> None:
    if len(data) >= 64:
        offset, letter = rng.choice(
            ((4, "B"), (5, "B"), (16, "H"), (18, "H"), (40, "Q"), (58, "H"), (60, "H"), (62, "H"))
        )
        value = rng.choice(LONGS) & (1 << 8 * struct.calcsize(letter)) - 1
        struct.pack_into("<" + letter, data, offset, value)


def attack_section_header(data: bytearray, rng: random.Random) -> None:
    mark = ">" if data[5:6] == b"\2" else "<"
    if len(data) < 64:
        return
    (table,), (count,) = struct.unpack_from(mark + "Q", data, 40), struct.unpack_from(mark + "H", data, 60)
    at = table + 64 * rng.randrange(count or 1)
    if at + 64 > len(data):
        return
    offset, letter = rng.choice(
        ((0, "I"), (4, "I"), (8, "Q"), (24, "Q"), (32, "Q"), (40, "I"), (44, "I"), (56, "Q"))
    )  # fmt: skip
    (old,) = struct.unpack_from(mark + letter, data, at + offset)
    chosen = rng.choice((rng.choice(LONGS), old + rng.choice((-24, -8, -1, 1, 8, 24)), rng.randrange(12), len(data)))
    struct.pack_into(mark + letter, data, at + offset, chosen & (1 << 8 * struct.calcsize(letter)) - 1)


def attack_btf(data: bytearray, rng: random.Random) -> None:
    """Overwrite a word of the BTF, where most of what is read comes from."""
    little = data.find(b"\x9f\xeb\x01")
    start = little if little >= 0 else data.find(b"\xeb\x9f\x01")
    if start < 0 or start + 32 > len(data):
        return
    mark = "<" if little >= 0 else ">"
    limit = min(len(data) - 4, start + 3000)
    at = (
        start + 4 * rng.randrange((limit - start) // 4)
        if rng.random() < 0.8
        else start + rng.choice((4, 8, 12, 16, 20))
    )
    word = struct.unpack_from(mark + "I", data, at)[0]
    chosen = rng.choice((rng.choice(WORDS), rng.randrange(200), word ^ 1 << rng.randrange(32), word + 1))
    struct.pack_into(mark + "I", data, at, chosen & 0xFFFFFFFF)


MUTATIONS = (
    flip_bit, overwrite_byte, overwrite_word, splice, cut_out, truncate, attack_file_header, attack_section_header,
    attack_section_header, attack_btf, attack_btf, attack_btf,
)  # fmt: skip


def use(data: bytes) -> str:
    """Read an object and look at all it has; return how that ended."""
    try:
        spec = CollectionSpec.from_bytes(data)
    except BpfModelError:
        return "refused"
    for variable in spec.variables.values():
        for look in (variable.get, variable.describe):
            if variable.size > 1 << 16 and look == variable.get:
                continue
            try:
                value = look()
                if look == variable.get:
                    variable.set(value)
            except BpfModelError:
                pass
    spec.closure(spec.maps, spec.programs)
    for name in list(spec.variables)[:3]:
        spec.explain_missing(name + "x")
    for copied in (spec.copy(), spec):
        repr(copied)
        for section in [m.name for m in copied.maps.values() if m.is_data and m.value_size <= 1 << 16]:
            copied.image_of(section)
    return "read"


def run(name: str, seeds: range) -> dict[str, int]:
    """Use many inputs; raises at the first that ends otherwise than it may."""
    ends = {"refused": 0, "read": 0}
    for seed in seeds:
        data = input_of(name, seed)
        started = time.perf_counter()
        try:
            ends[use(data)] += 1
        except Exception as error:
            raise AssertionError(f"input_of({name!r}, {seed}) ended in {type(error).__name__}: {error}") from error
        took = time.perf_counter() - started
        if took > LIMIT:  # once more: the machine may have been busy
            started = time.perf_counter()
            use(data)
            took = min(took, time.perf_counter() - started)
        assert took <= LIMIT, f"input_of({name!r}, {seed}) took {took:.1f} seconds"
    return ends


@pytest.mark.parametrize("name", OBJECTS)
def test_mutations(name: str) -> None:
    """In a process of its own, whose memory is bounded: there, more than the bound is a MemoryError."""
    code = (
        "import resource, sys\n"
        f"sys.path[:0] = {[str(Path(bpfmodel.__file__).parent.parent), str(TESTDATA.parent), str(Path(__file__).parent)]!r}\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))\n"
        "import test_fuzz\n"
        f"print(test_fuzz.run({name!r}, range({ROUNDS})))\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr.strip().splitlines()[-1] + "\n" + done.stderr
    ends = eval(done.stdout)
    assert ends["refused"] + ends["read"] == ROUNDS
    assert ends["refused"] and ends["read"], "mutations that all end alike test little"


@pytest.mark.parametrize("name", ["verdict", "nobtf"])
def test_every_truncation(name: str) -> None:
    data = original(name)
    for length in range(len(data)):
        with pytest.raises(BpfModelError):
            CollectionSpec.from_bytes(data[:length])


def test_inputs_are_the_same_every_time() -> None:
    assert input_of("maps", 3) == input_of("maps", 3) != input_of("maps", 4)


def test_an_unharmed_object_is_read() -> None:
    assert {use(original(name)) for name in OBJECTS} == {"read"}
