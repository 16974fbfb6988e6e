"""Reads the ELF container of a BPF object. The only module that imports pyelftools.

pyelftools reads the header and the section table. Symbols and relocations are decoded from their raw tables in one go:
one `struct.iter_unpack` costs a few per cent of what a Python object per symbol does.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import NamedTuple

from ..btf.parse import ByteOrder
from ..errors import SourceError

EM_NONE, EM_BPF = 0, 247
SHT_PROGBITS, SHT_SYMTAB, SHT_RELA, SHT_NOBITS, SHT_REL = 1, 2, 4, 8, 9
SHF_EXECINSTR = 0x4
STB_LOCAL, STB_GLOBAL, STB_WEAK = 0, 1, 2
STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_SECTION = 0, 1, 2, 3
STV_DEFAULT, STV_INTERNAL, STV_HIDDEN, STV_PROTECTED = 0, 1, 2, 3
SHN_UNDEF = 0


class Section(NamedTuple):
    """One section. `data` is empty where the file holds no bytes for it (``.bss``); `size` is true either way."""

    number: int
    name: str
    kind: int
    flags: int
    size: int
    link: int
    info: int
    data: memoryview

    @property
    def executable(self) -> bool:
        """Whether it holds instructions."""
        return bool(self.flags & SHF_EXECINSTR)


class Symbol(NamedTuple):
    """One symbol; `section` is the index of the section it lies in, 0 where it is not defined here."""

    name: str
    section: int
    value: int
    size: int
    bind: int
    kind: int
    visibility: int


class Relocation(NamedTuple):
    """A place in a section that refers to a symbol, by the symbol's index."""

    offset: int
    symbol: int
    kind: int


class Elf(NamedTuple):
    """The tables of one object file. `relocations` go by the index of the section they apply to."""

    byte_order: ByteOrder
    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]
    relocations: dict[int, tuple[Relocation, ...]]

    def section(self, name: str) -> Section | None:
        """Return the first section of that name."""
        return next((section for section in self.sections if section.name == name), None)


def read_elf(data: bytes) -> Elf:
    """Read the tables of a BPF object.

    Raises:
        SourceError: the data is no ELF file, not for BPF, or names bytes that it does not hold.
    """
    if data[:4] != b"\x7fELF":
        shown = f"it begins with {bytes(data[:4])!r}" if data else "it is empty"
        raise SourceError(f"not an ELF file: {shown}; give the .o that clang -target bpf wrote")
    order, headers = _section_headers(data)
    view = memoryview(data)
    sections = []
    for index, (name, header) in enumerate(headers):
        kind, offset, size = header["sh_type"], header["sh_offset"], header["sh_size"]
        stored = 0 if kind == SHT_NOBITS else size
        if offset + stored > len(data) and stored:
            raise SourceError(f"truncated: section {name or index} ends at byte {offset + stored} of {len(data)}")
        sections.append(
            Section(
                index, name, kind, header["sh_flags"], size, header["sh_link"], header["sh_info"],
                view[offset : offset + stored],
            )
        )  # fmt: skip
    mark = "<" if order == "little" else ">"
    table = next((section for section in sections if section.kind == SHT_SYMTAB), None)
    symbols = tuple(_symbols(table, sections, mark)) if table else ()
    relocations: dict[int, tuple[Relocation, ...]] = {}
    for section in sections:
        if section.kind in (SHT_REL, SHT_RELA):
            rows = tuple(_relocations(section, len(symbols), mark))
            relocations[section.info] = relocations.get(section.info, ()) + rows
    return Elf(order, tuple(sections), symbols, relocations)


def _section_headers(data: bytes) -> tuple[ByteOrder, list[tuple[str, dict[str, int]]]]:
    # Imported late: reading objects is not all the library is imported for.
    from elftools.elf.elffile import ELFFile
    from elftools.elf.enums import ENUM_E_MACHINE, ENUM_SH_TYPE_BASE

    if len(data) < 64:
        raise SourceError(f"truncated: {len(data)} bytes where an ELF header alone has 64")
    if data[4] != 2:
        raise SourceError("a 32-bit ELF file; BPF objects are 64-bit")
    mark = ">" if data[5] == 2 else "<"
    machine = struct.unpack_from(mark + "H", data, 18)[0]
    if machine not in (EM_BPF, EM_NONE):
        known = {number: name for name, number in ENUM_E_MACHINE.items() if isinstance(number, int)}
        found = str(known.get(machine, machine)).removeprefix("EM_")
        raise SourceError(f"an ELF file for {found}, not for BPF; compile with clang -target bpf")
    # Checked by hand first: a section count that lies would have pyelftools read for minutes.
    table, size, count = (*struct.unpack_from(mark + "Q", data, 40), *struct.unpack_from(mark + "HH", data, 58))
    if not table or not count:
        raise SourceError("an ELF file without sections")
    if size != 64 or table + size * count > len(data):
        raise SourceError(f"truncated: the section table ends at byte {table + size * count} of {len(data)}")
    kinds = {name: number for name, number in ENUM_SH_TYPE_BASE.items() if isinstance(number, int)}
    try:
        container = ELFFile(io.BytesIO(data))
        headers = []
        for index in range(count):
            header = container._get_section_header(index)
            kind = kinds.get(header["sh_type"], header["sh_type"])
            headers.append((container._get_section_name(header), {**dict(header.items()), "sh_type": kind}))
    except SourceError:
        raise
    except Exception as error:  # pyelftools meets a broken file with whatever its parser trips over
        raise SourceError(f"a broken ELF file: {error}") from error
    return ("big" if mark == ">" else "little"), headers


def _symbols(table: Section, sections: list[Section], mark: str) -> Iterator[Symbol]:
    if table.link >= len(sections):
        raise SourceError("the symbol table names no string table")
    names = bytes(sections[table.link].data)
    row = struct.Struct(mark + "IBBHQQ")
    for name, info, other, section, value, size in row.iter_unpack(_whole(table, row.size)):
        end = names.find(b"\0", name)
        if end < 0 and name:
            raise SourceError(f"a symbol's name lies at {name}, beyond its string table")
        yield Symbol(
            names[name:end].decode("utf-8", "backslashreplace"),
            section, value, size, info >> 4, info & 15, other & 3,
        )  # fmt: skip


def _relocations(section: Section, symbols: int, mark: str) -> Iterator[Relocation]:
    row = struct.Struct(mark + ("QQq" if section.kind == SHT_RELA else "QQ"))
    for offset, info, *_ in row.iter_unpack(_whole(section, row.size)):
        symbol = info >> 32
        if symbol >= symbols:
            raise SourceError(f"{section.name} refers to symbol {symbol} of {symbols}")
        yield Relocation(offset, symbol, info & 0xFFFFFFFF)


def _whole(section: Section, row: int) -> memoryview:
    if len(section.data) % row:
        raise SourceError(f"truncated: {section.name} has {len(section.data)} bytes, no multiple of {row}")
    return section.data
