"""Reads the ELF container of a BPF object. The only module that imports pyelftools.

pyelftools reads the header. Sections, symbols and relocations are decoded from their raw tables in one go: one
`struct.iter_unpack` costs a few per cent of what pyelftools' object per row does.
"""

from __future__ import annotations

import functools
import io
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..btf.parse import MAX_NAME, ByteOrder
from ..errors import SourceError

SHT_SYMTAB, SHT_RELA, SHT_NOBITS, SHT_REL = 2, 4, 8, 9
SHF_EXECINSTR = 0x4
STB_LOCAL = 0
STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_SECTION = 0, 1, 2, 3
STV_DEFAULT, STV_PROTECTED = 0, 3
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
    order = _byte_order(data)
    mark = "<" if order == "little" else ">"
    view = memoryview(data)
    rows, names = _section_table(data, order, mark)
    sections = []
    for number, (name, kind, flags, _address, offset, size, link, info, _align, _entry) in enumerate(rows):
        stored = 0 if kind == SHT_NOBITS else size
        title = _string(names, name, "a section's name")
        if stored and offset + stored > len(data):
            raise SourceError(f"truncated: section {title or number} ends at byte {offset + stored} of {len(data)}")
        sections.append(Section(number, title, kind, flags, size, link, info, view[offset : offset + stored]))
    if sum(len(section.data) for section in sections) > len(data):
        raise SourceError("a broken ELF file: its sections overlap")  # and would add up to any size
    table = next((section for section in sections if section.kind == SHT_SYMTAB), None)
    symbols = tuple(_symbols(table, sections, mark)) if table else ()
    relocations: dict[int, tuple[Relocation, ...]] = {}
    for section in sections:
        # Those of BTF say again what the symbols say, once a variable; nothing here reads them.
        if section.kind in (SHT_REL, SHT_RELA) and not section.name.startswith((".rel.BTF", ".rela.BTF")):
            found = tuple(_relocations(section, len(symbols), mark))
            relocations[section.info] = relocations.get(section.info, ()) + found
    return Elf(order, tuple(sections), symbols, relocations)


def _byte_order(data: bytes) -> ByteOrder:
    if len(data) < 64:
        raise SourceError(f"truncated: {len(data)} bytes where an ELF header alone has 64")
    if data[4] != 2:
        raise SourceError("a 32-bit ELF file; BPF objects are 64-bit")
    return "big" if data[5] == 2 else "little"


def _section_table(data: bytes, order: ByteOrder, mark: str) -> tuple[list[tuple[int, ...]], bytes]:
    """Read the ELF header, and the section table it names in one go; return its rows and the section of their names."""
    header = _elf_header(data, order)
    machine = header["e_machine"]
    if machine not in ("EM_BPF", "EM_NONE"):
        raise SourceError(
            f"an ELF file for {str(machine).removeprefix('EM_')}, not for BPF; compile with clang -target bpf"
        )
    table, size, count, names = header["e_shoff"], header["e_shentsize"], header["e_shnum"], header["e_shstrndx"]
    if not table or not count:
        raise SourceError("an ELF file without sections")
    if size != 64 or table + size * count > len(data):
        raise SourceError(f"truncated: the section table ends at byte {table + size * count} of {len(data)}")
    if names >= count:
        raise SourceError("a broken ELF file: no section holds the names of its sections")
    rows = list(struct.iter_unpack(mark + "IIQQQQIIQQ", data[table : table + size * count]))
    offset, size = rows[names][4:6]
    return rows, data[offset : offset + size]


def _elf_header(data: bytes, order: ByteOrder) -> Any:
    # Imported late: reading objects is not all the library is imported for.
    from elftools.common.utils import struct_parse

    try:
        return struct_parse(_structs(order).Elf_Ehdr, io.BytesIO(data[:64]), 0)
    except Exception as error:  # pyelftools meets a broken file with whatever its parser trips over
        raise SourceError(f"a broken ELF file: {error}") from error


@functools.cache
def _structs(order: ByteOrder) -> Any:
    """Make pyelftools' description of ELF files once, which costs more than reading most objects."""
    from elftools.elf.structs import ELFStructs

    structs = ELFStructs(little_endian=order == "little", elfclass=64)
    structs.create_basic_structs()
    return structs


def _string(strings: bytes, offset: int, what: str) -> str:
    end = strings.find(b"\0", offset, offset + MAX_NAME + 1)
    if end < 0:
        raise SourceError(
            f"a broken ELF file: {what} at byte {offset} of {len(strings)} does not end, or not within {MAX_NAME} bytes"
        )
    return strings[offset:end].decode("utf-8", "backslashreplace")


def _symbols(table: Section, sections: list[Section], mark: str) -> Iterator[Symbol]:
    if table.link >= len(sections):
        raise SourceError("the symbol table names no string table")
    names = bytes(sections[table.link].data)
    row = struct.Struct(mark + "IBBHQQ")
    # C's names are ASCII as a rule, and one decoding then serves for all of them.
    text = names.decode("ascii") if names.isascii() else None
    for name, info, other, section, value, size in row.iter_unpack(_whole(table, row.size)):
        if not name:
            shown = ""
        elif text is not None and (end := text.find("\0", name, name + MAX_NAME + 1)) >= 0:
            shown = text[name:end]
        else:
            shown = _string(names, name, "a symbol's name")
        yield Symbol(shown, section, value, size, info >> 4, info & 15, other & 3)


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
