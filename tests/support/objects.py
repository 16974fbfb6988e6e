"""Build whole BPF objects: variables, maps and programs, with the symbols, relocations and BTF of each.

What comes out is laid out the way clang lays it out, including what is odd about it: a DATASEC says size 0,
and offset 0 for every global. Where a test wants something else, each piece can be told so,
`ObjectBuilder.assemble` hands out the ELF writer, and `ObjectBuilder.btf` is the BTF writer.
"""

import copy
import struct
from collections.abc import Mapping, Sequence

from .assembly import Assembly, Extern, MapDefinition, Program, Variable, is_bss, map_struct
from .btfwriter import BtfWriter, ByteOrder, Name
from .elfwriter import Bind, ElfWriter, Visibility
from .instructions import add64_imm, call, exit_, insn, jeq_imm, ld_imm64, ldx, mov64_imm, mov64_reg, st, stx

__all__ = [
    "ObjectBuilder",
    "add64_imm",
    "call",
    "exit_",
    "insn",
    "jeq_imm",
    "ld_imm64",
    "ldx",
    "many_symbols",
    "mov64_imm",
    "mov64_reg",
    "st",
    "stx",
]


class ObjectBuilder:
    """Collects the parts of a BPF object; `build` returns the file and may be called any number of times.

    `linked` fills in the sizes and offsets of DATASECs, as `bpftool gen object` does and clang does not.
    """

    def __init__(self, byte_order: ByteOrder = "little", *, linked: bool = False) -> None:
        self.byte_order: ByteOrder = byte_order
        self.linked = linked
        self.btf = BtfWriter(byte_order)
        """Where the types of variables, keys and values come from."""
        self.datasec_sizes: dict[str, int] = {}
        """Sizes for DATASECs to claim, by section name."""
        self._variables: list[Variable] = []
        self._programs: list[Program] = []
        self._externs: list[Extern] = []

    def variable(
        self,
        name: str,
        type_id: int,
        size: int,
        section: str = ".data",
        *,
        initial: bytes | None = None,
        align: int | None = None,
        bind: Bind = "global",
        visibility: Visibility = "default",
        const: bool = False,
        references: Sequence[tuple[int, str]] = (),
        has_symbol: bool = True,
        in_btf: bool = True,
        btf_size: int | None = None,
        btf_offset: int | None = None,
    ) -> None:
        """Add a variable at the next aligned place in its section.

        `bind="local"` makes it static, so that its DATASEC entry carries its offset. `const` makes its type
        `const volatile`; what is read-only is still up to the section. `references` are the pointers in its
        data, as (offset, symbol). `has_symbol`, `in_btf`, `btf_size` and `btf_offset` make symbols and BTF
        tell different stories.
        """
        if initial is not None and (len(initial) > size or is_bss(section)):
            raise ValueError(f"{name}: {len(initial)} initial bytes do not fit {size} bytes in {section}")
        self._variables.append(
            Variable(
                name=name,
                type=self.btf.const(self.btf.volatile(type_id)) if const else type_id,
                size=size,
                section=section,
                initial=initial or b"",
                align=_natural_alignment(size) if align is None else align,
                bind=bind,
                visibility=visibility,
                references=references,
                has_symbol=has_symbol,
                in_btf=in_btf,
                btf_size=btf_size,
                btf_offset=btf_offset,
            )
        )

    def map(
        self,
        name: str,
        kind: int | None = 1,
        key: int | None = None,
        value: int | None = None,
        max_entries: int | None = None,
        attributes: Mapping[str, int] | None = None,
        *,
        values: Sequence[str | None] = (),
        inner: int | None = None,
        typedef: Name | None = None,
        section: str = ".maps",
        bind: Bind = "global",
        visibility: Visibility = "default",
    ) -> None:
        """Add a BTF-defined map, spelt as libbpf's `__uint`, `__type` and `__array` macros spell it.

        `key` and `value` are type ids; `attributes` are further numbers such as `map_flags` or `key_size`.
        `values` names the maps or programs of the initial entries (None leaves a hole), and `inner` is the
        type of those maps where none is named (see `map_type`). `typedef` hides the struct behind a name.
        """
        definition = _definition(kind, key, value, max_entries, attributes, values, inner, typedef)
        start = definition.struct_size
        self._variables.append(
            Variable(
                name=name,
                type=definition,
                size=start + 8 * len(values),
                section=section,
                align=8,
                bind=bind,
                visibility=visibility,
                references=[(start + 8 * slot, target) for slot, target in enumerate(values) if target is not None],
            )
        )

    def map_type(
        self,
        kind: int | None = 1,
        key: int | None = None,
        value: int | None = None,
        max_entries: int | None = None,
        attributes: Mapping[str, int] | None = None,
    ) -> int:
        """Add only the type of a map, to be the `inner` of another."""
        definition = _definition(kind, key, value, max_entries, attributes, (), None, None)
        return map_struct(self.btf, definition, None)

    def program(
        self,
        name: str,
        section: str,
        code: bytes,
        references: Sequence[tuple[int, str]] = (),
        *,
        bind: Bind = "global",
        visibility: Visibility = "default",
    ) -> None:
        """Add a function; `.text` is the section of those that others call.

        `code` is little-endian whatever the object is. `references` are (number of the instruction, symbol):
        variables, maps or functions for a `ld_imm64`, functions for a `call`.
        """
        self._programs.append(
            Program(
                name=name,
                section=section,
                code=code,
                references=references,
                bind=bind,
                visibility=visibility,
            )
        )

    def extern(self, name: str, type_id: int, size: int, section: str = ".kconfig", *, weak: bool = False) -> None:
        """Declare what the loader must find: a kernel option, or a kernel symbol in `.ksyms`."""
        bind: Bind = "weak" if weak else "global"
        self._externs.append(Extern(name=name, type=type_id, size=size, section=section, bind=bind))

    def license(self, text: str) -> None:
        """Add the licence, which the kernel looks at before it allows some helpers."""
        data = text.encode() + b"\0"
        self.variable("LICENSE", self.btf.array(self.btf.common("char"), len(data)), len(data), "license", initial=data)

    def assemble(self, with_btf: bool = True, *, btf_blob: bytes | None = None) -> ElfWriter:
        """Return the ELF writer just before it writes, for a test to add to it or to break it.

        `btf_blob` takes the place of the BTF that belongs to the object.
        """
        assembly = Assembly(
            elf=ElfWriter(self.byte_order),
            btf=copy.deepcopy(self.btf),
            programs=self._programs,
            variables=self._variables,
            externs=self._externs,
        )
        assembly.place()
        assembly.write()
        if btf_blob is not None:
            assembly.elf.add_section(".BTF", btf_blob, align=4)
        elif with_btf:
            assembly.write_btf(self.datasec_sizes, linked=self.linked)
        return assembly.elf

    def build(self, with_btf: bool = True, *, btf_blob: bytes | None = None) -> bytes:
        """Return the object file."""
        return self.assemble(with_btf, btf_blob=btf_blob).build()


def many_symbols(count: int, byte_order: ByteOrder = "little") -> bytes:
    """Build an object with `count` variables, `var_0` and on, for measuring.

    They take turns in `.data`, `.bss` and `.rodata`, three at a time a u64, a u32 and a 16-byte struct. A
    variable in `.data` or `.rodata` starts with its own number; one program refers to the first few.
    """
    builder = ObjectBuilder(byte_order)
    btf = builder.btf
    u32, u64 = btf.common("__u32"), btf.common("__u64")
    point = btf.struct("point", 16, [("x", u32, 0), ("y", u32, 32), ("when", u64, 64)])
    types = ((u64, 8), (u32, 4), (point, 16))
    for number in range(count):
        section = (".data", ".bss", ".rodata")[number % 3]
        type_id, size = types[number // 3 % 3]
        value = struct.pack(("<" if byte_order == "little" else ">") + ("Q" if size == 8 else "I"), number)
        builder.variable(
            f"var_{number}",
            type_id,
            size,
            section,
            initial=None if section == ".bss" else value,
            const=section == ".rodata",
        )
    referenced = range(min(count, 6))
    loads = b"".join(ld_imm64(1) + ldx(4, 2, 1) for _ in referenced)
    builder.program(
        "look",
        "xdp",
        loads + mov64_imm(0, 2) + exit_(),
        [(3 * number, f"var_{number}") for number in referenced],
    )
    builder.license("GPL")
    return builder.build()


def _definition(
    kind: int | None,
    key: int | None,
    value: int | None,
    max_entries: int | None,
    attributes: Mapping[str, int] | None,
    values: Sequence[str | None],
    inner: int | None,
    typedef: Name | None,
) -> MapDefinition:
    numbers = {"type": kind, "max_entries": max_entries, **(attributes or {})}
    types = {"key": key, "value": value}
    return MapDefinition(
        {name: number for name, number in numbers.items() if number is not None},
        {name: type_id for name, type_id in types.items() if type_id is not None},
        values,
        inner,
        typedef,
    )


def _natural_alignment(size: int) -> int:
    """The largest power of two, up to 8, that divides a size."""
    return next((align for align in (8, 4, 2) if size and size % align == 0), 1)
