"""Write relocatable ELF files by hand.

The writer lays out a correct file and then lets any field of any header be replaced, which is how tests get
files that no linker would produce: sections beyond the end of the file, symbols in sections not there.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ByteOrder = Literal["little", "big"]
Bind = Literal["local", "global", "weak"]
SymbolType = Literal["notype", "object", "func", "section"]
Visibility = Literal["default", "internal", "hidden", "protected"]
Value = int | bytes

EM_BPF = 247
ET_REL = 1

NULL, PROGBITS, SYMTAB, STRTAB, NOBITS, REL = 0, 1, 2, 3, 8, 9
WRITE, ALLOC, EXECINSTR, INFO_LINK = 1, 2, 4, 0x40
SHN_UNDEF, SHN_ABS, SHN_COMMON = 0, 0xFFF1, 0xFFF2

R_BPF_64_64, R_BPF_64_ABS64, R_BPF_64_ABS32, R_BPF_64_NODYLD32, R_BPF_64_32 = 1, 2, 3, 4, 10

_BIND: Mapping[Bind, int] = {"local": 0, "global": 1, "weak": 2}
_TYPE: Mapping[SymbolType, int] = {"notype": 0, "object": 1, "func": 2, "section": 3}
_VISIBILITY: Mapping[Visibility, int] = {"default": 0, "internal": 1, "hidden": 2, "protected": 3}

# The headers as the ELF-64 specification has them: each field with its struct code, in order.
_FILE_HEADER = {
    "e_ident": "16s",
    "e_type": "H",
    "e_machine": "H",
    "e_version": "I",
    "e_entry": "Q",
    "e_phoff": "Q",
    "e_shoff": "Q",
    "e_flags": "I",
    "e_ehsize": "H",
    "e_phentsize": "H",
    "e_phnum": "H",
    "e_shentsize": "H",
    "e_shnum": "H",
    "e_shstrndx": "H",
}
_SECTION_HEADER = {
    "sh_name": "I",
    "sh_type": "I",
    "sh_flags": "Q",
    "sh_addr": "Q",
    "sh_offset": "Q",
    "sh_size": "Q",
    "sh_link": "I",
    "sh_info": "I",
    "sh_addralign": "Q",
    "sh_entsize": "Q",
}
_SYMBOL = {
    "st_name": "I",
    "st_info": "B",
    "st_other": "B",
    "st_shndx": "H",
    "st_value": "Q",
    "st_size": "Q",
}
_FILE_HEADER_SIZE, _SECTION_HEADER_SIZE, _SYMBOL_SIZE, _REL_SIZE = 64, 64, 24, 16


@dataclass
class _Section:
    name: str
    type: int = NULL
    data: bytes = b""
    flags: int = 0
    link: int = 0
    info: int = 0
    entsize: int = 0
    align: int = 0
    size: int | None = None


@dataclass
class _Symbol:
    name: str
    section: int
    value: int
    size: int
    bind: Bind
    type: SymbolType
    visibility: Visibility
    overrides: dict[str, Value] = field(default_factory=dict)


class _Strings:
    """A string table that holds each string once."""

    def __init__(self) -> None:
        self.data = bytearray(1)
        self._offsets = {"": 0}

    def add(self, text: str) -> int:
        if text not in self._offsets:
            self._offsets[text] = len(self.data)
            self.data += text.encode() + b"\0"
        return self._offsets[text]


class ElfWriter:
    """Collects sections, symbols and relocations, and lays them out as a 64-bit relocatable ELF file.

    The sections added keep their index. After them come a `.rel` section for each section that has
    relocations, `.symtab`, `.strtab` and `.shstrtab`.
    """

    def __init__(self, byte_order: ByteOrder = "little", machine: int = EM_BPF, *, file_type: int = ET_REL) -> None:
        self.byte_order: ByteOrder = byte_order
        self.machine = machine
        self.file_type = file_type
        self.locals_first = True
        """ELF demands that local symbols come first; unset to break that."""
        self.with_symtab = True
        """Unset to leave out `.symtab` and `.strtab`, like a file stripped of its symbols."""
        self._prefix = "<" if byte_order == "little" else ">"
        self._sections = [_Section("")]
        self._symbols = [_Symbol("", SHN_UNDEF, 0, 0, "local", "notype", "default")]
        self._relocations: dict[int, list[tuple[int, int, int]]] = {}
        self._header_overrides: dict[str, Value] = {}
        self._section_overrides: dict[int | str, dict[str, Value]] = {}

    def add_section(
        self,
        name: str,
        data: bytes = b"",
        type: int = PROGBITS,
        *,
        flags: int = 0,
        link: int = 0,
        info: int = 0,
        entsize: int = 0,
        align: int = 1,
        size: int | None = None,
    ) -> int:
        """Add a section and return its index. `size` is for NOBITS sections, which have no data."""
        self._sections.append(_Section(name, type, data, flags, link, info, entsize, align, size))
        return len(self._sections) - 1

    def set_data(self, section: int, data: bytes) -> None:
        """Replace a section's contents, for what depends on where things ended up."""
        self._sections[section].data = data

    def add_symbol(
        self,
        name: str,
        section: int = SHN_UNDEF,
        value: int = 0,
        size: int = 0,
        *,
        bind: Bind = "global",
        type: SymbolType = "object",
        visibility: Visibility = "default",
    ) -> int:
        """Add a symbol and return a handle for `add_relocation` (its place in the file may be another)."""
        self._symbols.append(_Symbol(name, section, value, size, bind, type, visibility))
        return len(self._symbols) - 1

    def add_relocation(self, section: int, offset: int, symbol: int, type: int) -> None:
        """Add a relocation at an offset of a section; a symbol that is no handle is written as it is."""
        self._relocations.setdefault(section, []).append((offset, symbol, type))

    # Lies

    def override_header(self, **fields: Value) -> None:
        """Replace fields of the file header, by their ELF names (`e_shoff=2**60`)."""
        self._header_overrides |= _known(_FILE_HEADER, fields)

    def override_section(self, section: int | str, **fields: Value) -> None:
        """Replace fields of a section's header (`sh_size=2**60`); the section is an index or a name.

        Sections that the writer makes itself, such as `.symtab`, are reached by their names.
        """
        self._section_overrides.setdefault(section, {}).update(_known(_SECTION_HEADER, fields))

    def override_symbol(self, symbol: int | str, **fields: Value) -> None:
        """Replace fields of a symbol (`st_shndx=200`), given by handle, or of all that have a name."""
        chosen = [entry for handle, entry in enumerate(self._symbols) if symbol in (handle, entry.name)]
        if not chosen:
            raise ValueError(f"no such symbol: {symbol}")
        for entry in chosen:
            entry.overrides |= _known(_SYMBOL, fields)

    # Layout

    def build(self) -> bytes:
        """Return the file. The writer is left as it was, so it may be changed and built again."""
        sections = [*self._sections, *self._tables()]
        known = {*range(len(sections)), *(section.name for section in sections)}
        if unknown := self._section_overrides.keys() - known:
            raise ValueError(f"no such section: {unknown}")
        names = _Strings()
        name_offsets = [names.add(section.name) for section in sections]
        sections[-1].data = bytes(names.data)

        output = bytearray(_FILE_HEADER_SIZE)
        headers = bytearray()
        for index, (section, name_offset) in enumerate(zip(sections, name_offsets, strict=True)):
            if section.type != NULL:
                output += bytes(-len(output) % max(section.align, 1))
            header: dict[str, Value] = {
                "sh_name": name_offset,
                "sh_type": section.type,
                "sh_flags": section.flags,
                "sh_addr": 0,
                "sh_offset": len(output) if section.type != NULL else 0,
                "sh_size": len(section.data) if section.size is None else section.size,
                "sh_link": section.link,
                "sh_info": section.info,
                "sh_addralign": section.align,
                "sh_entsize": section.entsize,
            }
            header |= self._section_overrides.get(section.name, {}) if index else {}
            header |= self._section_overrides.get(index, {})
            headers += self._pack(_SECTION_HEADER, header)
            output += section.data
        output += bytes(-len(output) % 8)
        output[:_FILE_HEADER_SIZE] = self._file_header(len(output), len(sections))
        return bytes(output + headers)

    def _file_header(self, section_headers: int, section_count: int) -> bytes:
        encoding = 1 if self.byte_order == "little" else 2
        header: dict[str, Value] = {
            "e_ident": bytes((0x7F, *b"ELF", 2, encoding, 1)),
            "e_type": self.file_type,
            "e_machine": self.machine,
            "e_version": 1,
            "e_entry": 0,
            "e_phoff": 0,
            "e_shoff": section_headers,
            "e_flags": 0,
            "e_ehsize": _FILE_HEADER_SIZE,
            "e_phentsize": 0,
            "e_phnum": 0,
            "e_shentsize": _SECTION_HEADER_SIZE,
            "e_shnum": section_count,
            "e_shstrndx": section_count - 1,
        }
        return self._pack(_FILE_HEADER, header | self._header_overrides)

    def _tables(self) -> list[_Section]:
        """The sections that are made rather than given: relocations, symbols and strings."""
        symtab_index = len(self._sections) + len(self._relocations)
        order = list(range(len(self._symbols)))
        if self.locals_first:
            order.sort(key=lambda handle: self._symbols[handle].bind != "local")
        places = {handle: place for place, handle in enumerate(order)}

        tables = []
        for target, relocations in self._relocations.items():
            data = b"".join(
                struct.pack(self._prefix + "QQ", offset, places.get(symbol, symbol) << 32 | type)
                for offset, symbol, type in relocations
            )
            name = f".rel{self._sections[target].name}" if target < len(self._sections) else ".rel"
            link = symtab_index if self.with_symtab else 0
            tables.append(_Section(name, REL, data, INFO_LINK, link, target, _REL_SIZE, 8))
        if self.with_symtab:
            strings = _Strings()
            data = b"".join(self._encode_symbol(self._symbols[handle], strings) for handle in order)
            local_count = sum(symbol.bind == "local" for symbol in self._symbols)
            tables.append(_Section(".symtab", SYMTAB, data, 0, symtab_index + 1, local_count, _SYMBOL_SIZE, 8))
            tables.append(_Section(".strtab", STRTAB, bytes(strings.data), align=1))
        tables.append(_Section(".shstrtab", STRTAB, align=1))
        return tables

    def _encode_symbol(self, symbol: _Symbol, strings: _Strings) -> bytes:
        values: dict[str, Value] = {
            "st_name": strings.add(symbol.name),
            "st_info": _BIND[symbol.bind] << 4 | _TYPE[symbol.type],
            "st_other": _VISIBILITY[symbol.visibility],
            "st_shndx": symbol.section,
            "st_value": symbol.value,
            "st_size": symbol.size,
        }
        return self._pack(_SYMBOL, values | symbol.overrides)

    def _pack(self, layout: Mapping[str, str], values: Mapping[str, Value]) -> bytes:
        return struct.pack(self._prefix + "".join(layout.values()), *(values[name] for name in layout))


def _known(layout: Mapping[str, str], fields: dict[str, Value]) -> dict[str, Value]:
    """Return the fields, after a look that each exists: a misspelt override would silently do nothing."""
    if unknown := fields.keys() - layout.keys():
        raise ValueError(f"no such ELF field: {', '.join(sorted(unknown))}")
    return fields
