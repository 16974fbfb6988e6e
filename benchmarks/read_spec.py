"""Claim: reading a 3,000-symbol object takes at most 20/134 of walking its symbols one by one through pyelftools.

`CollectionSpec.from_file` reads all of the object: sections, symbols, relocations, BTF, and makes the specs. The reference
only visits: name, value, size, binding, type, visibility and section name of every symbol, and offset, type and symbol of
every relocation. It reads no BTF and keeps nothing. It looks up the name of each section once; printed beside it, for
information, is the ratio to the walk that asks for the section of every symbol, as pyelftools invites one to.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from _ratio import compare, fastest, show, timed
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from bpfmodel import CollectionSpec

SYMBOLS = 3000
TARGET = 20 / 134
ROUNDS = 25


def main() -> None:
    many_symbols: Callable[[int], bytes] = import_module("support.objects").many_symbols
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "many.bpf.o")
        path.write_bytes(many_symbols(SYMBOLS))
        assert len(CollectionSpec.from_file(path).variables) == SYMBOLS
        assert walk(path) > SYMBOLS
        ours, theirs, asking = fastest(
            timed(lambda: CollectionSpec.from_file(path), 1),
            timed(lambda: walk(path), 1),
            timed(lambda: walk(path, ask=True), 1),
            rounds=ROUNDS,
        )
    compare(
        f"CollectionSpec.from_file, {SYMBOLS:,} symbols", ours, "a walk of its symbols in pyelftools", theirs, TARGET
    )
    print(f"  for information: {ours / asking:.2f}x the walk that asks for each symbol's section, {show(asking)}")


def walk(path: Path, *, ask: bool = False) -> int:
    """Visit every symbol and every relocation through pyelftools, and count them."""
    seen = 0
    with path.open("rb") as file:
        elf = ELFFile(file)
        names = [section.name for section in elf.iter_sections()]
        for section in elf.iter_sections():
            if isinstance(section, SymbolTableSection):
                for symbol in section.iter_symbols():
                    index = symbol["st_shndx"]
                    _ = (
                        symbol.name, symbol["st_value"], symbol["st_size"], symbol["st_info"]["bind"],
                        symbol["st_info"]["type"], symbol["st_other"]["visibility"],
                        index if isinstance(index, str) else elf.get_section(index).name if ask else names[index],
                    )  # fmt: skip
                    seen += 1
            elif isinstance(section, RelocationSection):
                for relocation in section.iter_relocations():
                    _ = relocation["r_offset"], relocation["r_info_type"], relocation["r_info_sym"]
                    seen += 1
    return seen


if __name__ == "__main__":
    main()
