"""Makes the contents of a `CollectionSpec` of the bytes of an object: sections, symbols and BTF in, plain data out.

Source of the rules: libbpf's ``src/libbpf.c`` (which symbols are programs, which sections are maps), cilium/ebpf's
``elf_reader.go`` (which variables are visible).
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import NamedTuple

from ..btf import kinds
from ..btf.layout import size_of
from ..btf.parse import BTF, ByteOrder
from ..btf.render import describe
from ..errors import SourceError
from .elf import (
    SHN_UNDEF,
    STB_LOCAL,
    STT_FUNC,
    STT_NOTYPE,
    STT_OBJECT,
    STV_DEFAULT,
    STV_PROTECTED,
    Elf,
    Section,
    Symbol,
    read_elf,
)
from .mapdefs import read_maps
from .references import References
from .sections import parse_section
from .specs import MapSpec, ProgramSpec, VariableSpec
from .uapi import MapFlag, MapType, ProgType

MAX_DATA_SECTION = (1 << 31) - 1
"""The kernel refuses an array map with larger elements (``array_map_alloc_check`` in ``kernel/bpf/arraymap.c``)."""


class Contents(NamedTuple):
    """What was read: the fields of a `CollectionSpec`."""

    maps: dict[str, MapSpec]
    programs: dict[str, ProgramSpec]
    variables: dict[str, VariableSpec]
    types: BTF
    byte_order: ByteOrder
    has_btf: bool
    license: str
    absent: dict[str, str]


def read(data: bytes, name: str) -> Contents:
    """Read an object; `name` stands for it in messages.

    Raises:
        SourceError: the data is no BPF object, or contradicts itself.
    """
    try:
        return _Reader(data).contents()
    except SourceError as error:
        raise SourceError(f"{name}: {error}") from error.__cause__


@dataclass(slots=True)
class _DataSection:
    section: Section
    constant: bool
    datasec: kinds.Datasec | None


def _family(name: str) -> str:
    """Return which kind of data section a name is of: data, rodata or bss; nothing for others."""
    family = name[1:].partition(".")[0] if name.startswith(".") else ""
    return family if family in ("data", "rodata", "bss") else ""


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.elf: Elf = read_elf(data)
        blob = self.elf.section(".BTF")
        self.types = (
            BTF.from_bytes(bytes(blob.data), self.elf.byte_order) if blob else BTF([kinds.VOID], self.elf.byte_order)
        )
        self.has_btf = blob is not None
        self.datasecs = {datasec.name: datasec for datasec in self.types.datasecs()}
        self.absent: dict[str, str] = {}
        # By name over all sections: clang 14 lists some variables of .bss in BTF under .data. Two static variables may
        # share a name, and only global ones are told apart by theirs.
        self.typed: dict[str, tuple[kinds.Type, int]] = {
            entry.var.name: (entry.var.type, entry.size)
            for datasec in self.datasecs.values()
            if _family(datasec.name)
            for entry in datasec.entries
            if isinstance(entry.var, kinds.Var) and entry.var.linkage
        }
        self.sections = {s.section.number: s for s in map(self._data_section, self.elf.sections) if s is not None}

    def contents(self) -> Contents:
        kconfig = self.datasecs.get(".kconfig")
        externs = {entry.var.name for entry in kconfig.entries} if kconfig else set()
        references = References(self.elf, {index: s.section.name for index, s in self.sections.items()}, externs)
        variables = self._variables(references)
        maps = self._data_maps(variables)
        maps.update(read_maps(self.elf, self.datasecs, self.absent))
        license = self._license()
        programs = self._programs(references, variables.keys(), license)
        self._explain_others(maps, variables, programs)
        return Contents(maps, programs, variables, self.types, self.elf.byte_order, self.has_btf, license, self.absent)

    def _data_section(self, section: Section) -> _DataSection | None:
        family = _family(section.name)
        if not family or not section.size:
            return None
        if section.size > MAX_DATA_SECTION:
            raise SourceError(
                f"section {section.name} has {section.size} bytes; no map holds more than {MAX_DATA_SECTION}"
            )
        datasec = self.datasecs.get(section.name)
        return _DataSection(section, family == "rodata", datasec)

    def _variables(self, references: References) -> dict[str, VariableSpec]:
        images = {index: bytes(s.section.data) for index, s in self.sections.items()}
        found: dict[str, VariableSpec] = {}
        order = self.elf.byte_order
        sizes: dict[int, int] = {}
        known = self.sections.get
        for symbol in self.elf.symbols:
            name, index, start, size, bind, kind, visibility = symbol
            place = known(index)
            if place is None or kind not in (STT_OBJECT, STT_NOTYPE) or not name:
                continue
            if (bind == STB_LOCAL or visibility) and not self._visible(symbol):
                continue
            section, entry = place.section, self.typed.get(name)
            if start + size > section.size:
                raise SourceError(
                    f"variable {name} ends at byte {start + size} of {section.name}, which has {section.size}"
                )
            type = None
            if entry is not None:
                type = entry[0]
                if entry[1] != size:
                    raise SourceError(f"variable {name} has {size} bytes, and {entry[1]} in BTF")
                needed = sizes.get(id(type))
                if needed is None:
                    needed = sizes[id(type)] = size_of(type)
                if needed > size:  # reading it by its type would read its neighbour
                    raise SourceError(f"variable {name} has {size} bytes, and its type {describe(type)}")
            found[name] = VariableSpec(
                name, section.name, start, size, type,
                place.constant, references.touches(index, start, size), order, images[index],
            )  # fmt: skip
        return found

    def _visible(self, symbol: Symbol) -> bool:
        if symbol.bind == STB_LOCAL:
            if symbol.kind == STT_OBJECT:
                self.absent.setdefault(symbol.name, "it is static: only global variables can be reached by name")
            return False
        if symbol.visibility not in (STV_DEFAULT, STV_PROTECTED):
            self.absent.setdefault(
                symbol.name, "it is hidden: remove __hidden, or the visibility attribute, to reach it"
            )
            return False
        return True

    def _data_maps(self, variables: dict[str, VariableSpec]) -> dict[str, MapSpec]:
        visible = {variable.section for variable in variables.values() if variable.type is not None}
        return {
            s.section.name: MapSpec(
                s.section.name,
                MapType.ARRAY,
                4,
                s.section.size,
                1,
                # As libbpf does it: only sections with a visible variable that BTF knows are made mappable.
                (MapFlag.RDONLY_PROG if s.constant else 0) | (MapFlag.MMAPABLE if s.section.name in visible else 0),
                value=s.datasec,
                image=bytes(s.section.data),
                constant=s.constant,
            )
            for s in self.sections.values()
        }

    def _license(self) -> str:
        section = self.elf.section("license")
        return bytes(section.data).partition(b"\0")[0].decode("utf-8", "backslashreplace") if section else ""

    def _programs(self, references: References, variables: Set[str], license: str) -> dict[str, ProgramSpec]:
        found: dict[str, ProgramSpec] = {}
        for symbol in self.elf.symbols:
            section = self.elf.sections[symbol.section] if symbol.section < len(self.elf.sections) else None
            if (
                section is None or symbol.kind != STT_FUNC or symbol.section == SHN_UNDEF
                or not section.executable or section.name == ".text"
            ):  # fmt: skip
                continue
            if symbol.bind == STB_LOCAL:
                self.absent.setdefault(symbol.name, "it is a static function, which cannot be a program")
                continue
            end = symbol.value + symbol.size
            if end > len(section.data) or symbol.value % 8 or symbol.size % 8 or not symbol.size:
                raise SourceError(f"program {symbol.name} lies at bytes {symbol.value} to {end} of {section.name}")
            used = references.of(symbol.section, symbol.value)
            info = parse_section(section.name)
            found[symbol.name] = ProgramSpec(
                symbol.name, section.name, info.prog_type if info else ProgType.UNSPEC,
                info.attach_type if info else None, info.attach_to if info else "", bool(info and info.sleepable),
                not section.name.startswith("?"), license, bytes(section.data[symbol.value : end]),
                tuple(sorted(used.maps)), tuple(sorted(used.variables & variables)),
            )  # fmt: skip
        return found

    def _explain_others(
        self, maps: dict[str, MapSpec], variables: dict[str, VariableSpec], programs: dict[str, ProgramSpec]
    ) -> None:
        """Note why the rest of what BTF names cannot be declared."""
        taken = {*maps, *variables, *programs}
        for symbol in self.elf.symbols:
            if symbol.name in taken or not symbol.name or symbol.name in self.absent:
                continue
            if symbol.section == SHN_UNDEF:
                self.absent[symbol.name] = "it is extern: the kernel or another object defines it"
            elif symbol.kind == STT_FUNC:
                self.absent[symbol.name] = "it is a subprogram, called by programs and no program itself"
            elif symbol.kind == STT_OBJECT and symbol.section < len(self.elf.sections):
                self.absent[symbol.name] = f"it lies in section {self.elf.sections[symbol.section].name}"
