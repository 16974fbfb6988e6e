"""Works out which maps and variables each function of an object refers to, also through the functions it calls.

Source: the relocation kinds of ``Documentation/bpf/llvm_reloc.rst`` in the kernel's tree.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from typing import NamedTuple

from ..errors import SourceError
from .elf import SHN_UNDEF, STT_FUNC, STT_SECTION, Elf, Section, Symbol

R_BPF_64_64, R_BPF_64_32 = 1, 10
MAX_FUNCTIONS = 256  # BPF_MAX_SUBPROGS in kernel/bpf/verifier.c
_LD_IMM64, _CALL = 0x18, 0x85
_PSEUDO_CALL = 1


class Used(NamedTuple):
    """What a function refers to, by name; data sections are among the maps."""

    maps: set[str]
    variables: set[str]


class _Function:
    __slots__ = ("calls", "maps", "variables")

    def __init__(self) -> None:
        self.calls: set[tuple[int, int]] = set()
        self.maps: set[str] = set()
        self.variables: set[str] = set()


class References:
    """All references from code to data, made in one pass over the relocations."""

    def __init__(self, elf: Elf, data_sections: dict[int, str], externs: set[str]) -> None:
        self._elf = elf
        self._mark = "<" if elf.byte_order == "little" else ">"
        self._data = data_sections
        self._externs = externs
        self._functions: dict[tuple[int, int], _Function] = {}
        self._starts: dict[int, list[int]] = {}
        self._touched: dict[int, list[int]] = {}
        for symbol in elf.symbols:
            if symbol.kind == STT_FUNC and symbol.section != SHN_UNDEF:
                self._functions[symbol.section, symbol.value] = _Function()
                self._starts.setdefault(symbol.section, []).append(symbol.value)
        for starts in self._starts.values():
            starts.sort()
        # Maps and variables by place: a reference may name the symbol or its section and an offset.
        self._objects: dict[int, list[tuple[int, int, str]]] = {}
        for symbol in elf.symbols:
            if symbol.kind not in (STT_FUNC, STT_SECTION) and symbol.section != SHN_UNDEF and symbol.name:
                place = (symbol.value, symbol.size, symbol.name)
                self._objects.setdefault(symbol.section, []).append(place)
        for places in self._objects.values():
            places.sort()
        for section in elf.sections:
            if section.executable:
                self._scan(section)
        for offsets in self._touched.values():
            offsets.sort()

    def of(self, section: int, start: int) -> Used:
        """Return what the function at this place refers to.

        Raises:
            SourceError: it calls more functions than any kernel takes.
        """
        used, seen, todo = Used(set(), set()), set(), [(section, start)]
        while todo:
            key = todo.pop()
            function = self._functions.get(key)
            if function is None or key in seen:
                continue
            seen.add(key)
            if len(seen) > MAX_FUNCTIONS:
                raise SourceError(f"a program calls more than {MAX_FUNCTIONS} functions, and the kernel takes no more")
            used.maps.update(function.maps)
            used.variables.update(function.variables)
            todo += function.calls
        return used

    def touches(self, section: int, offset: int, size: int) -> bool:
        """Tell whether any code refers into these bytes of a data section."""
        offsets = self._touched.get(section)
        if offsets is None:
            return False
        index = bisect_right(offsets, offset + (size or 1) - 1)
        return index > 0 and offsets[index - 1] >= offset

    def _scan(self, section: Section) -> None:
        code = bytes(section.data)
        relocated = set()
        for relocation in self._elf.relocations.get(section.number, ()):
            offset = relocation.offset
            if offset + 8 > len(code):
                continue
            relocated.add(offset)
            function = self._function_at(section.number, offset)
            if function is not None:
                immediate = struct.unpack_from(self._mark + "i", code, offset + 4)[0]
                self._refer(function, relocation.kind, self._elf.symbols[relocation.symbol], immediate, code[offset])
        # Calls inside one section carry the distance and no relocation. Every such call starts with this opcode; the
        # second half of a ld_imm64 starts with 0, so a step of 8 bytes never mistakes data for a call.
        position = code.find(_CALL)
        while position >= 0:
            if position % 8 == 0 and position not in relocated and position + 8 <= len(code):
                registers, immediate = code[position + 1], struct.unpack_from(self._mark + "i", code, position + 4)[0]
                source = registers >> 4 if self._mark == "<" else registers & 15
                function = self._function_at(section.number, position)
                if source == _PSEUDO_CALL and function is not None:
                    function.calls.add((section.number, position + 8 + immediate * 8))
            position = code.find(_CALL, position + 1)

    def _refer(self, function: _Function, kind: int, symbol: Symbol, immediate: int, opcode: int) -> None:
        if symbol.section == SHN_UNDEF:
            if symbol.name in self._externs:
                function.maps.add(".kconfig")
            return
        if symbol.section >= len(self._elf.sections):
            return
        if kind == R_BPF_64_32 and opcode == _CALL:
            at = symbol.value + ((immediate + 1) * 8 if symbol.kind == STT_SECTION else 0)
            function.calls.add((symbol.section, at))
        elif kind == R_BPF_64_64 and opcode == _LD_IMM64:
            at = symbol.value + immediate
            if self._elf.sections[symbol.section].executable:
                function.calls.add((symbol.section, at))  # the address of a callback
                return
            name = self._object_at(symbol.section, at)
            section = self._data.get(symbol.section)
            if section is None:
                function.maps.add(name or symbol.name)
                return
            function.maps.add(section)
            self._touched.setdefault(symbol.section, []).append(at)
            if name:
                function.variables.add(name)

    def _function_at(self, section: int, offset: int) -> _Function | None:
        starts = self._starts.get(section, [])
        index = bisect_right(starts, offset)
        return self._functions[section, starts[index - 1]] if index else None

    def _object_at(self, section: int, offset: int) -> str:
        places = self._objects.get(section, [])
        index = bisect_right(places, (offset, 1 << 64, ""))
        if not index:
            return ""
        start, size, name = places[index - 1]
        return name if start <= offset < start + max(size, 1) else ""
