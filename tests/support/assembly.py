"""Put the parts of a BPF object together; the machinery behind `ObjectBuilder`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from . import elfwriter, instructions
from .btfwriter import HEADER_SIZE, BtfWriter, Linkage, Name
from .elfwriter import Bind, ElfWriter, Visibility

# Where the offset stands in a DATASEC's record: after the record's own 12 bytes, second in each entry of 12.
_DATASEC_OFFSET_AT, _DATASEC_ENTRY_SIZE = 12 + 4, 12


@dataclass
class MapDefinition:
    """What a map says of itself, before the types of the symbols in its `values` are known."""

    numbers: dict[str, int]
    types: dict[str, int]
    values: Sequence[str | None]
    inner: int | None
    typedef: Name | None

    @property
    def struct_size(self) -> int:
        """The size of the struct; the values in its flexible array come after it."""
        return 8 * (len(self.numbers) + len(self.types))

    @property
    def has_values(self) -> bool:
        return bool(self.values) or self.inner is not None


@dataclass(kw_only=True)
class Variable:
    """A variable or, when its type is a definition, a map; the fields are explained in `ObjectBuilder`."""

    name: str
    type: int | MapDefinition
    size: int
    section: str
    align: int
    bind: Bind
    visibility: Visibility
    initial: bytes = b""
    references: Sequence[tuple[int, str]] = ()
    has_symbol: bool = True
    in_btf: bool = True
    btf_size: int | None = None
    btf_offset: int | None = None


@dataclass(kw_only=True)
class Program:
    name: str
    section: str
    code: bytes
    references: Sequence[tuple[int, str]]
    bind: Bind
    visibility: Visibility


@dataclass(kw_only=True)
class Extern:
    name: str
    type: int
    size: int
    section: str
    bind: Bind


@dataclass
class _Place:
    """Where a symbol ended up: its handle if it has one, its section's index and symbol, and its offset."""

    symbol: int | None
    section: int
    section_symbol: int
    offset: int
    bind: Bind


class _DatasecEntry(NamedTuple):
    """An entry of a DATASEC, and the symbol that its offset is relocated against."""

    var: int
    offset: int
    size: int
    symbol: int | None


@dataclass
class Assembly:
    """One run from parts to an ELF writer: `place`, `write` and, if wanted, `write_btf`.

    Places are kept by name for references to them, and in the order of the parts for the parts themselves,
    because statics may share a name.
    """

    elf: ElfWriter
    btf: BtfWriter
    programs: Sequence[Program]
    variables: Sequence[Variable]
    externs: Sequence[Extern]
    _places: dict[str, _Place] = field(default_factory=dict)
    _program_places: list[_Place] = field(default_factory=list)
    _variable_places: list[_Place] = field(default_factory=list)
    _sections: dict[str, tuple[int, int]] = field(default_factory=dict)
    _section_sizes: dict[str, int] = field(default_factory=dict)
    _map_types: dict[int, int] = field(default_factory=dict)

    def place(self) -> None:
        """Lay out the sections and give everything its symbol, which references then go to."""
        for extern in self.externs:
            symbol = self.elf.add_symbol(extern.name, bind=extern.bind, type="notype")
            self._places[extern.name] = _Place(symbol, elfwriter.SHN_UNDEF, symbol, 0, extern.bind)
        self._place_programs()
        self._place_variables()

    def write(self) -> None:
        """Write code and pointers, with the relocations that they need."""
        self._write_programs()
        for variable, place in zip(self.variables, self._variable_places, strict=True):
            for offset, name in variable.references:
                target = self._places[name]
                symbol = target.section_symbol if target.symbol is None else target.symbol
                self.elf.add_relocation(place.section, place.offset + offset, symbol, elfwriter.R_BPF_64_ABS64)

    def _add_section(self, name: str, data: bytes, align: int, size: int, code: bool = False) -> None:
        flags = elfwriter.ALLOC
        if code:
            flags |= elfwriter.EXECINSTR
        elif not name.startswith(".rodata"):
            flags |= elfwriter.WRITE
        if is_bss(name):
            index = self.elf.add_section(name, b"", elfwriter.NOBITS, flags=flags, align=align, size=size)
        else:
            index = self.elf.add_section(name, data, flags=flags, align=align)
        self._section_sizes[name] = size
        self._sections[name] = index, self.elf.add_symbol("", index, bind="local", type="section")

    def _place_programs(self) -> None:
        sizes: dict[str, int] = {}
        for program in self.programs:
            sizes[program.section] = sizes.get(program.section, 0) + len(program.code)
        for name, size in sizes.items():
            self._add_section(name, bytes(size), 8, size, code=True)
        offsets = dict.fromkeys(sizes, 0)
        for program in self.programs:
            offset = offsets[program.section]
            offsets[program.section] += len(program.code)
            section, section_symbol = self._sections[program.section]
            symbol = self.elf.add_symbol(
                program.name,
                section,
                offset,
                len(program.code),
                bind=program.bind,
                type="func",
                visibility=program.visibility,
            )
            place = _Place(symbol, section, section_symbol, offset, program.bind)
            self._program_places.append(place)
            self._places.setdefault(program.name, place)

    def _place_variables(self) -> None:
        contents: dict[str, bytearray] = {}
        aligns: dict[str, int] = {}
        offsets = []
        for variable in self.variables:
            content = contents.setdefault(variable.section, bytearray())
            content += bytes(-len(content) % variable.align)
            offsets.append(len(content))
            content += variable.initial.ljust(variable.size, b"\0")
            aligns[variable.section] = max(variable.align, aligns.get(variable.section, 1))
        for name, content in contents.items():
            self._add_section(name, bytes(content), aligns[name], len(content))
        for variable, offset in zip(self.variables, offsets, strict=True):
            section, section_symbol = self._sections[variable.section]
            place = _Place(None, section, section_symbol, offset, variable.bind)
            if variable.has_symbol:
                place.symbol = self.elf.add_symbol(
                    variable.name,
                    section,
                    offset,
                    variable.size,
                    bind=variable.bind,
                    visibility=variable.visibility,
                )
            self._variable_places.append(place)
            self._places.setdefault(variable.name, place)

    def _write_programs(self) -> None:
        """Write the code.

        As in clang's objects, what is static is reached through its section's symbol, and its offset is in
        the instruction: in bytes for data, in instructions less one for calls.
        """
        code: dict[int, bytearray] = {}
        for program, here in zip(self.programs, self._program_places, strict=True):
            content = bytearray(program.code)
            for number, name in program.references:
                place = self._places[name]
                at = number * instructions.SIZE
                is_call = content[at] == instructions.CALL
                if not is_call and content[at] != instructions.LD_IMM64:
                    raise ValueError(f"{program.name}: instruction {number} cannot refer to {name}")
                symbol = place.symbol
                if place.bind == "local" or symbol is None:
                    symbol = place.section_symbol
                    imm = int.from_bytes(content[at + 4 : at + 8], "little")
                    imm = place.offset // instructions.SIZE - 1 if is_call else imm + place.offset
                    content[at + 4 : at + 8] = (imm & 0xFFFFFFFF).to_bytes(4, "little")
                kind = elfwriter.R_BPF_64_32 if is_call else elfwriter.R_BPF_64_64
                self.elf.add_relocation(here.section, here.offset + at, symbol, kind)
            code.setdefault(here.section, bytearray()).extend(content)
        for section, content in code.items():
            self.elf.set_data(
                section, instructions.swapped(content) if self.elf.byte_order == "big" else bytes(content)
            )

    def write_btf(self, datasec_sizes: Mapping[str, int], *, linked: bool) -> None:
        """Add functions, variables and DATASECs to the BTF, and write it with its relocations."""
        datasecs: dict[str, list[_DatasecEntry]] = {}
        targets: dict[str, int | Variable] = {variable.name: variable for variable in reversed(self.variables)}
        for program in self.programs:
            proto = self.btf.func_proto(self.btf.common("int"), [("ctx", self.btf.ptr(0))])
            self.btf.func(program.name, proto, _linkage(program.bind))
            targets[program.name] = proto
        for extern in self.externs:
            var = self.btf.var(extern.name, extern.type, "extern")
            entry = _DatasecEntry(var, 0, extern.size, self._places[extern.name].symbol)
            datasecs.setdefault(extern.section, []).append(entry)
        for variable, place in zip(self.variables, self._variable_places, strict=True):
            if variable.in_btf:
                type_id = self._type_of(variable, targets)
                var = self.btf.var(variable.name, type_id, _linkage(variable.bind))
                is_static = variable.bind == "local"
                offset = place.offset if is_static or linked else 0
                entry = _DatasecEntry(
                    var,
                    offset if variable.btf_offset is None else variable.btf_offset,
                    variable.size if variable.btf_size is None else variable.btf_size,
                    place.section_symbol if is_static else place.symbol,
                )
                datasecs.setdefault(variable.section, []).append(entry)

        relocations = []
        for name, entries in sorted(datasecs.items()):
            size = datasec_sizes.get(name, self._section_sizes.get(name, 0) if linked else 0)
            datasec = self.btf.datasec(name, [(entry.var, entry.offset, entry.size) for entry in entries], size)
            start = HEADER_SIZE + self.btf.type_offset(datasec) + _DATASEC_OFFSET_AT
            relocations += [
                (start + number * _DATASEC_ENTRY_SIZE, entry.symbol)
                for number, entry in enumerate(entries)
                if entry.symbol is not None and not linked
            ]
        section = self.elf.add_section(".BTF", self.btf.build(), align=4)
        for offset, symbol in relocations:
            self.elf.add_relocation(section, offset, symbol, elfwriter.R_BPF_64_NODYLD32)

    def _type_of(self, variable: Variable, targets: dict[str, int | Variable]) -> int:
        """The id of a variable's type; a map's is made when first asked for, after those of its values."""
        definition = variable.type
        if isinstance(definition, int):
            return definition
        if id(definition) not in self._map_types:
            inner = definition.inner
            named = next((name for name in definition.values if name is not None), None)
            if inner is None and named is not None:
                target = targets[named]
                inner = target if isinstance(target, int) else self._type_of(target, targets)
            type_id = map_struct(self.btf, definition, inner)
            if definition.typedef is not None:
                type_id = self.btf.typedef(definition.typedef, type_id)
            self._map_types[id(definition)] = type_id
        return self._map_types[id(definition)]


def map_struct(btf: BtfWriter, definition: MapDefinition, inner: int | None) -> int:
    """Add the struct that defines a map: all its members are pointers, and only their types say anything.

    A number is the length of an array pointed to, or the value of an enum if it needs more than 32 bits.
    """
    members: list[tuple[str, int, int]] = []

    def add(name: str, type_id: int) -> None:
        members.append((name, type_id, 64 * len(members)))

    for name, number in definition.numbers.items():
        if number >> 32:
            add(name, btf.enum64("", [(f"__unique_value_{name}", number)]))
        else:
            add(name, btf.ptr(btf.array(btf.common("int"), number)))
    for name, type_id in definition.types.items():
        add(name, btf.ptr(type_id))
    if definition.has_values:
        add("values", btf.array(btf.ptr(inner or 0), 0))
    return btf.struct("", definition.struct_size, members)


def is_bss(section: str) -> bool:
    """Whether a section has a size but no contents in the file."""
    return section == ".bss" or section.startswith(".bss.")


def _linkage(bind: Bind) -> Linkage:
    return "static" if bind == "local" else "global"
