"""What an object can be read from, and what is said of files that are none."""

from __future__ import annotations

import importlib.resources
import os
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.data import testdata
from support.elfwriter import ElfWriter
from support.objects import ObjectBuilder, exit_

from bpfmodel import BpfObjects, CollectionSpec, Program, SourceError, Var, u64

LAZY = testdata("lazy")


class Objects(BpfObjects):
    good_var: Var[u64]
    good: Program


def resource(folder: Path) -> Any:
    package = folder / "shipped"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "lazy.bpf.o").write_bytes(LAZY.read_bytes())
    return package


def from_package(folder: Path) -> Any:
    sys.path.insert(0, str(resource(folder).parent))
    try:
        return importlib.resources.files("shipped") / "lazy.bpf.o"
    finally:
        sys.path.pop(0)
        sys.modules.pop("shipped", None)


def from_zip(folder: Path) -> Any:
    """A resource that has no path, as in an application packed into one file."""
    with zipfile.ZipFile(folder / "app.zip", "w") as packed:
        packed.writestr("objects/lazy.bpf.o", LAZY.read_bytes())
    return zipfile.Path(str(folder / "app.zip")) / "objects" / "lazy.bpf.o"


SOURCES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "str": (lambda folder: str(LAZY), "lazy.bpf.o"),
    "path": (lambda folder: LAZY, "lazy.bpf.o"),
    "relative": (lambda folder: os.path.relpath(LAZY), "lazy.bpf.o"),
    "bytes": (lambda folder: LAZY.read_bytes(), "object"),
    "bytearray": (lambda folder: bytearray(LAZY.read_bytes()), "object"),
    "memoryview": (lambda folder: memoryview(LAZY.read_bytes()), "object"),
    "package": (from_package, "lazy.bpf.o"),
    "zip": (from_zip, "lazy.bpf.o"),
    "spec": (lambda folder: CollectionSpec.from_file(LAZY), "lazy.bpf.o"),
}


@pytest.mark.parametrize("source", SOURCES)
def test_source(source: str, tmp_path: Path) -> None:
    make, name = SOURCES[source]
    spec = CollectionSpec.of(make(tmp_path))
    assert (spec.name, list(spec.variables)) == (name, ["good_var"])
    assert spec.source == LAZY.read_bytes()


@pytest.mark.parametrize("source", SOURCES)
def test_objects_take_any_source(source: str, tmp_path: Path) -> None:
    make, _ = SOURCES[source]
    Objects.check(make(tmp_path))


def test_a_spec_is_not_read_again() -> None:
    spec = CollectionSpec.from_file(LAZY)
    assert CollectionSpec.of(spec) is spec


def test_bytes_can_be_changed_afterwards() -> None:
    data = bytearray(LAZY.read_bytes())
    spec = CollectionSpec.of(data)
    data[:] = bytes(len(data))
    assert spec.source == LAZY.read_bytes() and spec.variables["good_var"].get() == 0


def test_bytes_with_a_name() -> None:
    with pytest.raises(SourceError, match=r"^mine: not an ELF file"):
        CollectionSpec.from_bytes(b"x", name="mine")


@pytest.mark.parametrize("source", [None, 5, ["x"], object()])
def test_no_source(source: Any) -> None:
    with pytest.raises(SourceError, match="is no source: give a path, bytes, a resource file or a CollectionSpec"):
        CollectionSpec.of(source)


@pytest.mark.parametrize("source", [str, Path])
def test_no_such_file(source: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.bpf\.o"):
        CollectionSpec.of(source(tmp_path / "gone.bpf.o"))
    with pytest.raises(IsADirectoryError):
        CollectionSpec.of(source(tmp_path))


# Files that are no BPF objects


def header(*, machine: int = 247, bits: int = 2, order: int = 1, sections: int = 0) -> bytes:
    mark = ">" if order == 2 else "<"
    ident = bytes((0x7F, *b"ELF", bits, order, 1)).ljust(16, b"\0")
    return ident + struct.pack(mark + "HHIQQQIHHHHHH", 1, machine, 1, 0, 0, 0, 0, 64, 0, 0, 64, sections, 0)


def with_old_maps() -> bytes:
    builder = ObjectBuilder()
    builder.program("main", "xdp", exit_())
    elf = builder.assemble()
    elf.add_section("maps", bytes(20))
    return elf.build()


def with_wrong_btf_order() -> bytes:
    return ObjectBuilder().assemble(btf_blob=ObjectBuilder("big").btf.build()).build()


REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not an ELF file: it is empty; give the .o that clang -target bpf wrote"),
    "text": (b"#include <linux/bpf.h>\n", "not an ELF file: it begins with b'#inc'; give the .o that clang"),
    "short": (b"\x7fEL", "not an ELF file: it begins with b'\\x7fEL'"),
    "magic": (b"\x7fELF", "truncated: 4 bytes where an ELF header alone has 64"),
    "header": (header()[:63], "truncated: 63 bytes where an ELF header alone has 64"),
    "32-bit": (header(bits=1), "a 32-bit ELF file; BPF objects are 64-bit"),
    "x86": (header(machine=62), "an ELF file for X86_64, not for BPF; compile with clang -target bpf"),
    "arm": (header(machine=183), "an ELF file for AARCH64, not for BPF"),
    "unheard of": (header(machine=0x9999), "an ELF file for 39321, not for BPF"),
    "big-endian mips": (header(machine=8, order=2), "an ELF file for MIPS, not for BPF"),
    "no sections": (header(), "an ELF file without sections"),
    "half": (LAZY.read_bytes()[: len(LAZY.read_bytes()) // 2], "truncated: the section table ends at byte"),
    "one byte less": (LAZY.read_bytes()[:-1], "truncated: the section table ends at byte"),
    "old maps": (with_old_maps(), 'maps in a section "maps" are of the kind libbpf 1.0 dropped'),
    "byte orders": (with_wrong_btf_order(), "BTF is big-endian in a little-endian object"),
    "garbled BTF": (ObjectBuilder().build(btf_blob=b"?" * 30), "not BTF: its magic number is 0x3f3f, not 0xeb9f"),
    "empty BTF": (ObjectBuilder().build(btf_blob=b""), "BTF is truncated: 0 bytes where its header alone has 24"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, tmp_path: Path) -> None:
    data, message = REFUSED[case]
    path = tmp_path / "count.bpf.o"
    path.write_bytes(data)
    with pytest.raises(SourceError) as caught:
        CollectionSpec.from_file(path)
    assert str(caught.value).startswith(f"count.bpf.o: {message}")
    assert isinstance(caught.value, ValueError)
    with pytest.raises(SourceError, match=r"^object: "):
        CollectionSpec.from_bytes(data)
    with pytest.raises(SourceError, match=r"^count\.bpf\.o: "):
        Objects.check(path)


@pytest.mark.skipif(sys.platform != "linux", reason="Python itself is an ELF file on Linux only")
def test_python_is_no_bpf_object() -> None:
    with pytest.raises(SourceError, match="not for BPF; compile with clang -target bpf"):
        CollectionSpec.from_file(sys.executable)


def test_an_object_without_anything() -> None:
    spec = CollectionSpec.from_bytes(ElfWriter().build())
    assert (spec.maps, spec.programs, spec.variables, spec.has_btf, spec.license) == ({}, {}, {}, False, "")
    assert spec.explain_missing("x") == "the object has no variables"


def test_an_object_stripped_of_its_symbols() -> None:
    builder = ObjectBuilder()
    builder.program("main", "xdp", exit_())
    elf = builder.assemble()
    elf.with_symtab = False
    assert CollectionSpec.from_bytes(elf.build()).programs == {}


def test_an_object_of_no_machine_is_taken_for_bpf() -> None:
    """Old LLVMs wrote EM_NONE, and libbpf takes it."""
    data = bytearray(LAZY.read_bytes())
    data[18:20] = b"\0\0"
    assert "good_var" in CollectionSpec.from_bytes(bytes(data)).variables
