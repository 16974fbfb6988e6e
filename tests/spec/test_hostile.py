"""Objects built to hurt: each is read or refused, in a second and without taking the machine's memory.

Fuzzing hardly finds these, because they need many pieces to agree; each is one attack on something that grows.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.btfwriter import BtfWriter
from support.elfwriter import EXECINSTR, NOBITS, REL, ElfWriter
from support.objects import ObjectBuilder, call, exit_, many_symbols

import bpfmodel
from bpfmodel import BpfModelError, CollectionSpec, SourceError


def overlapping(name: str, type: int, flags: int = 0, size: int = 1 << 16, count: int = 1000) -> bytes:
    """Many section headers for the same bytes."""
    writer = ElfWriter()
    first = writer.add_section("blob", bytes(size))
    writer.add_symbol("x", first)
    numbers = [writer.add_section(name, b"", type, flags=flags, info=first) for _ in range(count)]
    for number in numbers:
        writer.override_section(number, sh_offset=64, sh_size=size)
    return writer.build()


def long_symbol_names() -> bytes:
    """Names that all run to the end of one long string."""
    writer = ElfWriter()
    section = writer.add_section(".data", bytes(8))
    writer.add_symbol("n" * 200_000, section)
    for number in range(8000):
        symbol = writer.add_symbol(f"s{number}", section)
        writer.override_symbol(symbol, st_name=1 + number)
    return writer.build()


def long_btf_names() -> bytes:
    builder = ObjectBuilder()
    start = builder.btf.add_string("n" * 200_000)
    for number in range(8000):
        builder.btf.raw(start + number, 7)
    return builder.build()


def long_section_names() -> bytes:
    """Every section's name is one long string, read out of the name table again and again."""
    writer = ElfWriter()
    writer.add_section("n" * 100_000)
    for number in range(2000):
        section = writer.add_section("x")
        writer.override_section(section, sh_name=1 + number)
    return writer.build()


def chain_of_functions() -> bytes:
    """Every function is a program, and calls the next one."""
    builder, count = ObjectBuilder(), 3000
    for number in range(count):
        if number + 1 < count:
            builder.program(f"f{number}", "xdp", call(-1, 1) + exit_(), [(0, f"f{number + 1}")])
        else:
            builder.program(f"f{number}", "xdp", exit_())
    return builder.build(with_btf=False)


def many_map_sections() -> bytes:
    writer = ElfWriter()
    section = writer.add_section(".data", bytes(8))
    for number in range(4000):
        writer.add_symbol(f"s{number}", section)
    for _ in range(3000):
        writer.add_section(".maps", b"")
    return writer.build()


def wide_struct_in_wide_struct() -> bytes:
    """Few records, 2**24 members once anonymous structs are opened."""
    builder = ObjectBuilder()
    inner = builder.btf.int_("int", 4)
    for _ in range(6):
        inner = builder.btf.struct("", 4, [("" if inner > 1 else f"m{n}", inner) for n in range(16)])
    builder.variable("x", inner, 4)
    return builder.build()


def bss_of_two_gigabytes() -> bytes:
    writer = ElfWriter()
    section = writer.add_section(".bss", type=NOBITS, size=(1 << 31) - 1)
    writer.add_symbol("x", section, 0, (1 << 31) - 8)
    return writer.build()


def rows_of_btf() -> bytes:
    """65,535 entries of nothing, many times."""
    builder = ObjectBuilder()
    for _ in range(4):
        builder.btf.enum("e", [("", 0)] * 0xFFFF)
    return builder.build()


ATTACKS: dict[str, Callable[[], bytes]] = {
    "overlapping relocations": lambda: overlapping(".rel", REL),
    "overlapping data": lambda: overlapping(".data", 1),
    "overlapping code": lambda: overlapping("xdp", 1, EXECINSTR),
    "overlapping maps": lambda: overlapping(".maps", 1),
    "symbol names": long_symbol_names,
    "BTF names": long_btf_names,
    "section names": long_section_names,
    "chain of functions": chain_of_functions,
    "map sections": many_map_sections,
    "wide structs": wide_struct_in_wide_struct,
    "two gigabytes": bss_of_two_gigabytes,
    "rows": rows_of_btf,
}

RUN = """
import resource, sys, time
sys.path[:0] = {path!r}
import bpfmodel.spec.reader, bpfmodel.types.codec, elftools.elf.elffile
from bpfmodel import BpfModelError, CollectionSpec
data = sys.stdin.buffer.read()
limit = 768 << 20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
started = time.perf_counter()
try:
    spec = CollectionSpec.from_bytes(data)
    for variable in spec.variables.values():
        if variable.size <= 1 << 16:
            variable.get()
except BpfModelError:
    pass
print(time.perf_counter() - started)
"""


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack(attack: str) -> None:
    data = ATTACKS[attack]()
    path = [str(Path(bpfmodel.__file__).parent.parent)]
    done = subprocess.run([sys.executable, "-c", RUN.format(path=path)], input=data, capture_output=True, check=False)
    assert done.returncode == 0, f"{len(data)} bytes: {done.stderr.decode()[-300:]}"
    assert float(done.stdout) < 1, f"{len(data)} bytes took {float(done.stdout):.1f} seconds"


def test_many_honest_symbols_take_no_time() -> None:
    data = many_symbols(3000)
    CollectionSpec.from_bytes(data)
    started = time.perf_counter()
    assert len(CollectionSpec.from_bytes(data).variables) == 3000
    assert time.perf_counter() - started < 1


# Pieces that contradict each other


def struct_ops(entry: Callable[[BtfWriter], int]) -> bytes:
    builder = ObjectBuilder()
    number = entry(builder.btf)
    builder.btf.datasec(".struct_ops", [(number, 0, 8)])
    elf = builder.assemble(btf_blob=builder.btf.build())
    section = elf.add_section(".struct_ops", bytes(8))
    elf.add_symbol("ops", section, 0, 8)
    return elf.build()


@pytest.mark.parametrize(
    "entry",
    [
        lambda btf: btf.int_("ops", 4),
        lambda btf: 0,
        lambda btf: btf.func("ops", btf.func_proto()),
        lambda btf: btf.var("ops", 0),
        lambda btf: btf.var("ops", btf.fwd("x")),
    ],
)
def test_struct_ops_of_what_is_no_variable(entry: Callable[[BtfWriter], int]) -> None:
    try:
        CollectionSpec.from_bytes(struct_ops(entry))
    except BpfModelError:
        pass


@pytest.mark.parametrize("section", [".kconfig", ".maps", ".bss", ".rodata", ".ksyms"])
def test_a_datasec_of_what_is_no_variable(section: str) -> None:
    builder = ObjectBuilder()
    builder.btf.datasec(section, [(builder.btf.common("int"), 0, 4), (0, 0, 0)])
    elf = builder.assemble(btf_blob=builder.btf.build())
    number = elf.add_section(section, bytes(8))
    elf.add_symbol("x", number, 0, 4)
    try:
        CollectionSpec.from_bytes(elf.build())
    except BpfModelError:
        pass


def variable(**lies: int) -> ElfWriter:
    builder = ObjectBuilder()
    builder.variable("before", builder.btf.common("__u64"), 8, ".data", initial=bytes(8))
    builder.variable("x", builder.btf.common("__u32"), 4, ".data", initial=b"\1\2\3\4", **lies)  # type: ignore[arg-type]
    return builder.assemble()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"st_size": 1 << 63}, "variable x ends at byte"),
        ({"st_value": 9}, "variable x ends at byte 13 of .data, which has 12"),
        ({"st_value": (1 << 64) - 1}, "variable x ends at byte"),
        ({"st_size": 3}, "variable x has 3 bytes, and"),
        ({"st_size": 0}, "variable x has 0 bytes, and"),
    ],
)
def test_a_variable_where_none_can_be(fields: dict[str, int], words: str) -> None:
    elf = variable()
    elf.override_symbol("x", **fields)
    with pytest.raises(SourceError, match=words):
        CollectionSpec.from_bytes(elf.build())


def test_btf_of_another_size() -> None:
    with pytest.raises(SourceError, match="variable x has 4 bytes, and 400 in BTF"):
        CollectionSpec.from_bytes(variable(btf_size=400).build())


@pytest.mark.parametrize("section", [0xFF00, 0xFFF1, 0xFFF2, 200])
def test_a_variable_in_a_section_that_is_not_there(section: int) -> None:
    elf = variable()
    elf.override_symbol("x", st_shndx=section)
    assert "x" not in CollectionSpec.from_bytes(elf.build()).variables


def test_members_beyond_their_struct() -> None:
    builder = ObjectBuilder()
    word = builder.btf.common("__u32")
    builder.variable("x", builder.btf.struct("liar", 4, [("a", word, 0), ("b", word, 32)]), 4)
    with pytest.raises(SourceError, match="liar"):
        CollectionSpec.from_bytes(builder.build()).variables["x"].get()


def test_a_relocation_to_no_symbol() -> None:
    builder = ObjectBuilder()
    builder.program("main", "xdp", exit_())
    elf = builder.assemble()
    elf.add_relocation(1, 0, 9999, 1)
    with pytest.raises(SourceError, match="refers to symbol 9999 of"):
        CollectionSpec.from_bytes(elf.build())


def test_tables_that_are_no_multiple_of_their_rows() -> None:
    elf = variable()
    elf.override_section(".symtab", sh_size=struct.calcsize("<IBBHQQ") + 1)
    with pytest.raises(SourceError, match=r"truncated: \.symtab has 25 bytes, no multiple of 24"):
        CollectionSpec.from_bytes(elf.build())
