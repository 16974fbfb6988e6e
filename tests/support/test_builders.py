"""The builders are believed by every other test, so they are checked against another reader and by hand."""

import io
import struct
from collections.abc import Callable
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from .btfwriter import BtfWriter, ByteOrder, Kind
from .elfwriter import NOBITS, R_BPF_64_64, ElfWriter
from .objects import ObjectBuilder, call, exit_, ld_imm64, ldx, many_symbols, mov64_imm, stx

BYTE_ORDERS: tuple[ByteOrder, ...] = ("little", "big")


def parse(data: bytes) -> Any:
    """Read with pyelftools; untyped, since its sections are known by their names and not by their classes."""
    return ELFFile(io.BytesIO(data))


def words(data: bytes, order: str = "<") -> list[int]:
    return list(struct.unpack(f"{order}{len(data) // 4}I", data))


def relocations(elf: Any, section: str) -> list[tuple[int, str, int]]:
    """The relocations of a section as (offset, symbol or the section it stands for, type)."""
    symbols = elf.get_section_by_name(".symtab")
    found = []
    for relocation in elf.get_section_by_name(f".rel{section}").iter_relocations():
        symbol = symbols.get_symbol(relocation["r_info_sym"])
        name = symbol.name or elf.get_section(symbol["st_shndx"]).name
        found.append((relocation["r_offset"], name, relocation["r_info_type"]))
    return found


def info(kind: Kind, vlen: int = 0, kind_flag: int = 0) -> int:
    return kind_flag << 31 | kind << 24 | vlen


# A record of each kind as its words: name, kind and length, size or type, and what follows. The strings "a"
# and "b" are at offsets 1 and 3.
RECORDS: list[tuple[Callable[[BtfWriter], int], list[int]]] = [
    (lambda btf: btf.int_("a", 4, 1), [1, info(Kind.INT), 4, 1 << 24 | 32]),
    (lambda btf: btf.int_("a", 4, bits=3, bit_offset=5), [1, info(Kind.INT), 4, 5 << 16 | 3]),
    (lambda btf: btf.ptr(7), [0, info(Kind.PTR), 7]),
    (lambda btf: btf.array(7, 16, index=8), [0, info(Kind.ARRAY), 0, 7, 8, 16]),
    (
        lambda btf: btf.struct("a", 8, [("a", 7, 0), ("b", 8, 32)]),
        [1, info(Kind.STRUCT, 2), 8, 1, 7, 0, 3, 8, 32],
    ),
    (
        lambda btf: btf.struct("a", 8, [("a", 7, 0, 3), ("b", 8, 32)]),
        [1, info(Kind.STRUCT, 2, 1), 8, 1, 7, 3 << 24, 3, 8, 32],
    ),
    (
        lambda btf: btf.struct("a", 8, [("a", 7, 0, 3), ("b", 8, 3, 5)], legacy=True),
        [1, info(Kind.STRUCT, 2), 8, 1, 7, 0, 3, 8, 3],
    ),
    (lambda btf: btf.union("a", 8, [("b", 7)]), [1, info(Kind.UNION, 1), 8, 3, 7, 0]),
    (lambda btf: btf.enum("a", {"b": 5}), [1, info(Kind.ENUM, 1), 4, 3, 5]),
    (lambda btf: btf.enum("a", {"b": -1}, size=1), [1, info(Kind.ENUM, 1, 1), 1, 3, 0xFFFFFFFF]),
    (lambda btf: btf.fwd("a"), [1, info(Kind.FWD), 0]),
    (lambda btf: btf.fwd("a", "union"), [1, info(Kind.FWD, 0, 1), 0]),
    (lambda btf: btf.typedef("a", 7), [1, info(Kind.TYPEDEF), 7]),
    (lambda btf: btf.volatile(7), [0, info(Kind.VOLATILE), 7]),
    (lambda btf: btf.const(7), [0, info(Kind.CONST), 7]),
    (lambda btf: btf.restrict(7), [0, info(Kind.RESTRICT), 7]),
    (lambda btf: btf.func("a", 7, "extern"), [1, info(Kind.FUNC, 2), 7]),
    (
        lambda btf: btf.func_proto(7, [("a", 8)], variadic=True),
        [0, info(Kind.FUNC_PROTO, 2), 7, 1, 8, 0, 0],
    ),
    (lambda btf: btf.var("a", 7, "static"), [1, info(Kind.VAR), 7, 0]),
    (lambda btf: btf.datasec("a", [(7, 16, 4)], 20), [1, info(Kind.DATASEC, 1), 20, 7, 16, 4]),
    (lambda btf: btf.float_("a", 8), [1, info(Kind.FLOAT), 8]),
    (lambda btf: btf.decl_tag("a", 7), [1, info(Kind.DECL_TAG), 7, 0xFFFFFFFF]),
    (lambda btf: btf.type_tag("a", 7), [1, info(Kind.TYPE_TAG), 7]),
    (lambda btf: btf.enum64("a", {"b": 1 << 32 | 5}), [1, info(Kind.ENUM64, 1), 8, 3, 5, 1]),
    (lambda btf: btf.raw(99, 31, 5, True, 6, b"\1\0\0\0"), [99, 1 << 31 | 31 << 24 | 5, 6, 1]),
]


@pytest.mark.parametrize(("add", "expected"), RECORDS)
def test_btf_record(add: Callable[[BtfWriter], int], expected: list[int]) -> None:
    btf = BtfWriter()
    btf.add_string("a")
    btf.add_string("b")
    assert add(btf) == 1
    assert words(btf.build()[24:-5]) == expected


def test_btf_covers_every_kind() -> None:
    assert {expected[1] >> 24 & 0x1F for _, expected in RECORDS} >= set(Kind)
    assert set(Kind) == set(range(1, 20))


def test_btf_header() -> None:
    btf = BtfWriter("big")
    assert btf.ptr(btf.common("__u32")) == 3
    assert btf.common("__u32") == 2
    blob = btf.build()
    assert struct.unpack_from(">HBBIIIII", blob) == (0xEB9F, 1, 0, 24, 0, 40, 40, 20)
    assert blob.endswith(b"\0unsigned int\0__u32\0")
    assert words(blob[24:64], ">")[:4] == [1, info(Kind.INT), 4, 32]


def test_btf_header_may_lie() -> None:
    btf = BtfWriter()
    blob = btf.build(magic=1, version=2, flags=3, hdr_len=4, type_off=5, type_len=6, str_off=7, str_len=8)
    assert struct.unpack_from("<HBBIIIII", blob) == (1, 2, 3, 4, 5, 6, 7, 8)
    assert words(btf.build(header_padding=bytes(8))[:24])[1] == 32


def test_elf_puts_local_symbols_first_and_renumbers_relocations() -> None:
    writer = ElfWriter()
    section = writer.add_section("code", bytes(32), align=8)
    writer.add_section("zeros", type=NOBITS, size=1000)
    first = writer.add_symbol("first", section, 8, 4, bind="weak", visibility="hidden")
    second = writer.add_symbol("second", section, bind="local", type="func")
    writer.add_relocation(section, 0, first, R_BPF_64_64)
    writer.add_relocation(section, 16, second, R_BPF_64_64)
    elf = parse(writer.build())

    symtab = elf.get_section_by_name(".symtab")
    assert [symbol.name for symbol in symtab.iter_symbols()] == ["", "second", "first"]
    assert symtab["sh_info"] == 2
    symbol = symtab.get_symbol(2)
    assert (symbol["st_info"]["bind"], symbol["st_info"]["type"]) == ("STB_WEAK", "STT_OBJECT")
    assert (symbol["st_other"]["visibility"], symbol["st_value"], symbol["st_size"]) == ("STV_HIDDEN", 8, 4)
    assert relocations(elf, "code") == [(0, "first", 1), (16, "second", 1)]
    assert elf.get_section_by_name("zeros").data_size == 1000


def test_elf_fields_may_lie() -> None:
    writer = ElfWriter()
    section = writer.add_section(".data", b"1234")
    symbol = writer.add_symbol("x", section)
    writer.override_header(e_type=9)
    writer.override_section(".data", sh_size=1 << 60)
    writer.override_section(section, sh_link=77)
    writer.override_symbol(symbol, st_shndx=200)
    elf = parse(writer.build())
    header = elf.get_section(section).header
    assert (elf["e_type"], header["sh_size"], header["sh_link"]) == (9, 1 << 60, 77)
    assert elf.get_section_by_name(".symtab").get_symbol(1)["st_shndx"] == 200
    with pytest.raises(ValueError, match="st_shndx"):
        writer.override_header(st_shndx=1)
    with pytest.raises(ValueError, match="no such symbol"):
        writer.override_symbol("y", st_name=1)
    writer.override_section(".symtab", sh_entsize=1)
    assert b".symtab" in writer.build()
    writer.override_section(".bss", sh_size=1)
    with pytest.raises(ValueError, match="no such section"):
        writer.build()


def sample(byte_order: ByteOrder = "little", *, linked: bool = False) -> ObjectBuilder:
    """An object with a little of everything."""
    builder = ObjectBuilder(byte_order, linked=linked)
    u32, u64 = builder.btf.common("__u32"), builder.btf.common("__u64")
    builder.variable("flag", u32, 4, ".bss")
    builder.variable("hits", u64, 8, ".bss")
    builder.variable("quiet", u32, 4, ".bss", bind="local")
    builder.variable("limit", u32, 4, ".rodata", initial=b"\1\2\3\4", const=True)
    builder.map("flows", 1, u32, u64, 16, {"map_flags": 1})
    builder.map("jumps", 3, max_entries=2, attributes={"key_size": 4, "value_size": 4}, values=[None, "main"])
    builder.extern("CONFIG_HZ", u32, 4)
    builder.program("helper", ".text", mov64_imm(0, 0) + exit_())
    builder.program("hidden", ".text", mov64_imm(0, 0) + exit_(), bind="local")
    code = ld_imm64(1) + ldx(8, 2, 1) + ld_imm64(1) + stx(4, 1, 2, 4) + call(-1, 1) + call(-1, 1) + exit_()
    builder.program("main", "xdp", code, [(0, "hits"), (3, "quiet"), (6, "helper"), (7, "hidden")])
    builder.license("GPL")
    return builder


@pytest.mark.parametrize("byte_order", BYTE_ORDERS)
def test_object_symbols_and_sections(byte_order: ByteOrder) -> None:
    elf = parse(sample(byte_order).build())
    assert elf.little_endian == (byte_order == "little")
    assert elf["e_machine"] == "EM_BPF"
    bss = elf.get_section_by_name(".bss")
    assert (bss["sh_type"], bss["sh_size"], bss["sh_addralign"]) == ("SHT_NOBITS", 20, 8)
    assert elf.get_section_by_name(".rodata").data() == b"\1\2\3\4"
    assert elf.get_section_by_name("license").data() == b"GPL\0"
    symbols = elf.get_section_by_name(".symtab")
    values = {symbol.name: symbol["st_value"] for symbol in symbols.iter_symbols()}
    assert [values[name] for name in ("flag", "hits", "quiet", "hidden")] == [0, 8, 16, 16]
    (quiet,) = symbols.get_symbol_by_name("quiet")
    assert quiet["st_info"]["bind"] == "STB_LOCAL"


@pytest.mark.parametrize("byte_order", BYTE_ORDERS)
def test_object_relocations(byte_order: ByteOrder) -> None:
    elf = parse(sample(byte_order).build())
    assert relocations(elf, "xdp") == [(0, "hits", 1), (24, ".bss", 1), (48, "helper", 10), (56, ".text", 10)]
    # Five members of flows, four pointers of jumps, and the second of its values.
    assert relocations(elf, ".maps") == [(40 + 32 + 8, "main", 2)]
    order = "<" if byte_order == "little" else ">"
    instructions = list(struct.iter_unpack(f"{order}BBhi", elf.get_section_by_name("xdp").data()))
    registers = 0x21 if byte_order == "little" else 0x12
    assert instructions[5] == (0x63, registers, 4, 0)
    assert instructions[3][3] == 16, "the offset of a static variable"
    assert [instruction[3] for instruction in instructions[6:8]] == [-1, 1], "calls count from what follows"


@pytest.mark.parametrize("linked", [False, True])
def test_object_datasec(linked: bool) -> None:
    builder = sample(linked=linked)
    builder.variable("odd", 1, 4, ".bss", has_symbol=False, btf_size=400, btf_offset=2)
    blob = parse(builder.build()).get_section_by_name(".BTF").data()
    strings_at = 24 + words(blob[:24])[4]
    types, strings = blob[24:strings_at], blob[strings_at:]
    name = strings.index(b"\0.bss\0") + 1
    start = types.index(struct.pack("<II", name, info(Kind.DATASEC, 4)))
    entries = words(types[start + 12 : start + 60])
    assert words(types[start + 8 : start + 12]) == [24 if linked else 0]
    assert entries[1::3] == [0, 8 if linked else 0, 16, 2]
    assert entries[2::3] == [4, 8, 4, 400]


def test_object_map_types_describe_themselves() -> None:
    """A number is the length of an array that the member points to; a type is what it points to."""
    builder = ObjectBuilder()
    u32 = builder.btf.common("__u32")
    struct_id = builder.map_type(7, key=u32, max_entries=1 << 31)
    blob = builder.btf.build()

    def record(type_id: int, count: int) -> list[int]:
        start = 24 + builder.btf.type_offset(type_id)
        return words(blob[start : start + 4 * count])

    members = record(struct_id, 12)
    assert members[1:3] == [info(Kind.STRUCT, 3), 24]
    pointers = [record(type_id, 3)[2] for type_id in members[4::3]]
    assert [record(pointers[0], 6)[5], record(pointers[1], 6)[5], pointers[2]] == [7, 1 << 31, u32]


def test_object_builds_again_and_again() -> None:
    builder = sample()
    assert builder.build() == builder.build()
    assert parse(builder.build(with_btf=False)).get_section_by_name(".BTF") is None
    assert parse(builder.build(btf_blob=b"?")).get_section_by_name(".BTF").data() == b"?"


def test_object_refuses_what_was_not_meant() -> None:
    builder = ObjectBuilder()
    with pytest.raises(ValueError, match="do not fit"):
        builder.variable("x", 1, 4, ".bss", initial=bytes(4))
    builder.variable("x", 1, 4)
    builder.program("main", "xdp", exit_(), [(0, "x")])
    with pytest.raises(ValueError, match="cannot refer"):
        builder.build()


def test_many_symbols() -> None:
    elf = parse(many_symbols(300))
    symbols = {symbol.name: symbol for symbol in elf.get_section_by_name(".symtab").iter_symbols()}
    sizes = {f"var_{number}": symbols[f"var_{number}"]["st_size"] for number in range(300)}
    assert set(sizes.values()) == {4, 8, 16}
    assert len(relocations(elf, "xdp")) == 6
    assert parse(many_symbols(0)).get_section_by_name("xdp")
