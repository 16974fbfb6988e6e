"""Reads map definitions: the structs in ``.maps`` whose members' types say what a map is.

``__uint(max_entries, 64)`` is a pointer to an array of 64 ints, ``__type(key, T)`` a pointer to T, ``__array(values, T)``
an array of pointers to T. Source: ``parse_btf_map_def`` in libbpf's ``src/libbpf.c``, and its ``bpf_helpers.h``.
"""

from __future__ import annotations

from bisect import bisect_right

from ..btf import kinds
from ..btf.kinds import strip
from ..btf.layout import size_of
from ..errors import SourceError
from .elf import Elf, Section
from .specs import MapSpec
from .uapi import MapType, map_type

_NUMBERS = {
    "type": "type", "key_size": "key_size", "value_size": "value_size", "max_entries": "max_entries",
    "map_flags": "flags", "map_extra": "extra", "numa_node": "numa_node", "pinning": "pinning",
}  # fmt: skip
_STRUCT_OPS = (".struct_ops", ".struct_ops.link")


def read_maps(elf: Elf, datasecs: dict[str, kinds.Datasec], absent: dict[str, str]) -> dict[str, MapSpec]:
    """Read all maps of an object but its data sections.

    Raises:
        SourceError: a definition cannot be understood, or is of the kind before BTF.
    """
    found: dict[str, MapSpec] = {}
    for section in elf.sections:
        if section.name == "maps" or section.name.startswith("maps/"):
            raise SourceError(
                'maps in a section "maps" are of the kind libbpf 1.0 dropped; define them in SEC(".maps")'
            )
        if section.name == ".maps":
            found.update(_section(elf, section, datasecs.get(".maps"), absent))
        elif section.name.removeprefix("?") in _STRUCT_OPS:
            found.update(_struct_ops(elf, section, datasecs.get(section.name)))
    return found


def _section(elf: Elf, section: Section, datasec: kinds.Datasec | None, absent: dict[str, str]) -> dict[str, MapSpec]:
    places = _symbols(elf, section)
    if datasec is None:
        for _, name in places:
            absent[name] = "it is a map, and without BTF nothing says of which kind; compile with -g"
        return {}
    types = {entry.var.name: entry.var.type for entry in datasec.entries if isinstance(entry.var, kinds.Var)}
    found: dict[str, MapSpec] = {}
    values_at: dict[str, tuple[int, int]] = {}
    for start, name in places:
        if name not in types:
            raise SourceError(f"map {name} has no type in BTF")
        definition = strip(types[name])
        if not isinstance(definition, kinds.Struct):
            raise SourceError(f"map {name} is no struct")
        found[name] = _definition(name, definition)
        for member in definition.members:
            if member.name == "values":
                length = (definition.size * 8 - member.offset) // 64
                values_at[name] = (start + member.offset // 8, length)
    # Only relocations say which maps and programs stand in `values`.
    names = [name for _, name in places]
    starts = [start for start, _ in places]
    for relocation in elf.relocations.get(section.number, ()):
        index = bisect_right(starts, relocation.offset) - 1
        if index < 0 or names[index] not in values_at:
            continue
        first, _ = values_at[names[index]]
        position, rest = divmod(relocation.offset - first, 8)
        symbol = elf.symbols[relocation.symbol]
        if position >= 0 and not rest and symbol.name:
            found[names[index]].values[position] = symbol.name
    return found


def _symbols(elf: Elf, section: Section) -> list[tuple[int, str]]:
    return sorted(
        (symbol.value, symbol.name)
        for symbol in elf.symbols
        if symbol.section == section.number and symbol.name and symbol.kind != 3
    )


def _definition(name: str, definition: kinds.Struct, nested: bool = False) -> MapSpec:
    spec = MapSpec(name, MapType.UNSPEC)
    for member in definition.members:
        if member.name in _NUMBERS:
            setattr(spec, _NUMBERS[member.name], _number(name, member))
        elif member.name in ("key", "value"):
            setattr(spec, member.name, _target(name, member))
        elif member.name == "values":
            spec.inner = _values(name, member, nested)
        elif member.name:
            raise SourceError(f"map {name}: its definition has an attribute {member.name}, which is not known")
    spec.type = map_type(int(spec.type))
    for what, type in (("key", spec.key), ("value", spec.value)):
        if type is None:
            continue
        size, told = size_of(type), getattr(spec, what + "_size")
        # A ring's or perf array's value only carries the event type: its size says nothing of the map.
        if what == "value" and spec.type in (MapType.RINGBUF, MapType.PERF_EVENT_ARRAY, MapType.USER_RINGBUF):
            continue
        if told and told != size:
            raise SourceError(f"map {name}: its {what} has {size} bytes, and {what}_size says {told}")
        setattr(spec, what + "_size", size)
    if spec.type in (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS, MapType.PROG_ARRAY, MapType.PERF_EVENT_ARRAY):
        # References to maps and programs are file descriptors to user space: four bytes, as libbpf sets them.
        spec.key_size, spec.value_size = spec.key_size or 4, spec.value_size or 4
    return spec


def _number(name: str, member: kinds.Member) -> int:
    pointer = strip(member.type)
    array = strip(pointer.target) if isinstance(pointer, kinds.Ptr) else None
    if isinstance(array, kinds.Array):
        return array.length
    # __ulong() is an array of an enum's value wrapped in a typeof; a plain enum constant carries 64 bits.
    if isinstance(pointer, kinds.Enum) and pointer.enumerators:
        return pointer.enumerators[0][1]
    raise SourceError(f"map {name}: {member.name} is not written with __uint()")


def _target(name: str, member: kinds.Member) -> kinds.Type:
    pointer = strip(member.type)
    if not isinstance(pointer, kinds.Ptr):
        raise SourceError(f"map {name}: {member.name} is not written with __type()")
    return pointer.target


def _values(name: str, member: kinds.Member, nested: bool) -> MapSpec | None:
    array = strip(member.type)
    pointer = strip(array.element) if isinstance(array, kinds.Array) else None
    if nested or not isinstance(pointer, kinds.Ptr):
        raise SourceError(f"map {name}: values is not written with __array()")
    definition = strip(pointer.target)
    if isinstance(definition, kinds.Struct):
        return _definition(f"{name}.inner", definition, nested=True)
    return None  # programs: a pointer to a function


def _struct_ops(elf: Elf, section: Section, datasec: kinds.Datasec | None) -> dict[str, MapSpec]:
    entries = datasec.entries if datasec else ()
    types = {entry.var.name: entry.var.type for entry in entries if isinstance(entry.var, kinds.Var)}
    found = {}
    for start, name in _symbols(elf, section):
        value = types.get(name)
        size = size_of(value) if value is not None else 0
        spec = found[name] = MapSpec(name, MapType.STRUCT_OPS, 4, size, 1, value=value)
        for relocation in elf.relocations.get(section.number, ()):
            if start <= relocation.offset < start + size:
                spec.values[relocation.offset - start] = elf.symbols[relocation.symbol].name
    return found
