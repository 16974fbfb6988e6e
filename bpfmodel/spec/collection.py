"""The plan of an object, as plain data: `CollectionSpec` and what it holds.

Specs are made by reading, changed by the user, and never by loading; one spec loads many times. References between
objects are names, which only an engine turns into file descriptors.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol, cast

from ..btf import kinds
from ..btf.kinds import strip
from ..btf.layout import fitted
from ..btf.parse import BTF, ByteOrder
from ..btf.render import describe
from ..errors import BpfTypeError, BpfValueError, ConstantError, Finding, SourceError, shown
from ..types.base import Codec
from ..types.codec import codec_for
from .uapi import AttachType, MapType, ProgType


class Readable(Protocol):
    """A file as `importlib.resources.files()` gives it, and any path."""

    def read_bytes(self) -> bytes:
        """Return all of it."""
        ...


@dataclass(slots=True)
class MapSpec:
    """The plan of a map. ``.bss``, ``.data*`` and ``.rodata*`` are maps too, of one element each.

    `type`, `key_size`, `value_size`, `max_entries`, `flags`, `extra` and `numa_node` may be changed before load.
    """

    name: str
    type: MapType | int
    key_size: int = 0
    value_size: int = 0
    max_entries: int = 0
    flags: int = 0
    extra: int = 0
    numa_node: int = 0
    pinning: int = 0
    """1 where the object asks to be pinned by name."""
    key: kinds.Type | None = None
    """The type of keys; None where the object gives only their size."""
    value: kinds.Type | None = None
    inner: MapSpec | None = None
    """What the maps in a map of maps look like."""
    values: dict[int, str] = field(default_factory=dict)
    """Initial contents of a map of maps or programs: index to the name of the map or program."""
    image: bytes | None = None
    """Initial bytes of a data section; empty means all zeros. None for every other map."""
    constant: bool = False
    """Whether this is a section of constants, frozen before programs load."""

    def check(self) -> None:
        """Refuse a plan with numbers that no kernel could take; engines do so before they load anything.

        Raises:
            BpfValueError: names the attribute and its bounds.
        """
        for attribute in ("type", "key_size", "value_size", "max_entries", "flags", "extra", "numa_node"):
            value, high = getattr(self, attribute), (1 << (64 if attribute == "extra" else 32)) - 1
            if not isinstance(value, int):
                raise BpfTypeError(f"{shown(value)} is no integer", f"{self.name}.{attribute}")
            if not 0 <= value <= high:
                raise BpfValueError(f"{shown(value)} is out of range (0 to {high})", f"{self.name}.{attribute}")

    @property
    def is_data(self) -> bool:
        """Whether this is a data section and not a map the program declares."""
        return self.image is not None


@dataclass(slots=True)
class ProgramSpec:
    """The plan of a program."""

    name: str
    section: str
    type: ProgType | int
    attach_type: AttachType | int | None = None
    attach_to: str = ""
    """What the section name says to attach to: ``sys_enter`` of ``raw_tp/sys_enter``."""
    sleepable: bool = False
    autoload: bool = True
    """False where the section's name begins with ``?``; declaring the program loads it all the same."""
    license: str = ""
    instructions: bytes = b""
    """Its bytes in the file, before relocation and without the functions it calls."""
    maps: tuple[str, ...] = ()
    """The maps it refers to, itself or through the functions it calls; data sections among them."""
    variables: tuple[str, ...] = ()
    """The global variables it refers to, likewise."""


@dataclass(slots=True)
class VariableSpec:
    """The plan of a global variable: where it lies and what it will hold when the programs start."""

    name: str
    section: str
    offset: int
    size: int
    type: kinds.Type | None
    """Its BTF type; None where the object has no BTF."""
    constant: bool
    """Whether it lies in a section of constants; C's ``const`` elsewhere protects nothing."""
    referenced: bool
    """Whether any code refers to it; a constant that none refers to was folded away by the compiler."""
    byte_order: ByteOrder
    image: bytes = field(default=b"", repr=False)
    """The bytes of its section in the file; empty for ``.bss``."""
    rewritten: bytes | None = None
    """The bytes that replace its initial ones; None as long as nothing was set."""

    @property
    def value(self) -> bytes:
        """Its initial bytes."""
        if self.rewritten is not None:
            return self.rewritten
        return self.image[self.offset : self.offset + self.size] if self.image else bytes(self.size)

    @value.setter
    def value(self, raw: bytes) -> None:
        if len(raw) != self.size:
            raise BpfValueError(f"{len(raw)} bytes, and it has {self.size}", self.name)
        self.rewritten = bytes(raw)

    def get(self) -> Any:
        """Return the initial value, in the natural Python form of its C type; bytes where the object has no BTF."""
        return self._codec().decode(self.value, 0)

    def set(self, value: Any) -> None:
        """Set the initial value, of constants and others alike.

        Raises:
            BpfValueError: the value does not fit the C type; the message has the bounds.
        """
        self.rewritten = self.encode(value)

    def encode(self, value: Any, codec: Codec | None = None) -> bytes:
        """Return a value as this variable's bytes, without setting them; `codec` replaces the one of its BTF type."""
        try:
            raw = (codec or self._codec()).encode(value)
        except BpfValueError as error:
            raise error.within(self.name) from None
        # A flexible array member makes a variable longer than its type; its elements keep what they are.
        return raw + self.value[len(raw) :]

    def _codec(self) -> Codec:
        if self.type is None:
            return Codec(self.size, lambda buffer, offset: bytes(buffer[offset : offset + self.size]), self._raw)
        bare = strip(self.type)
        # The flexible array member of a variable has the elements that its initial value gave it.
        type = fitted(bare, self.size) if isinstance(bare, kinds.Composite) else self.type
        return codec_for(type, self.byte_order)

    def _raw(self, value: Any) -> bytes:
        if not isinstance(value, bytes):
            raise BpfTypeError(
                f"{shown(value)} is no bytes; the object has no BTF, so its {self.size} bytes are all there is"
            )
        if len(value) != self.size:
            raise BpfValueError(f"{len(value)} bytes, and it has {self.size}")
        return value

    def describe(self) -> str:
        """Name its C type and size."""
        return f"{self.size} bytes without BTF" if self.type is None else describe(self.type)


@dataclass(slots=True)
class CollectionSpec:
    """All that one object file declares.

    Read it with `from_file` or `from_bytes`, change it, load it as often as needed. Everything works without
    privileges and on any operating system.
    """

    name: str
    maps: dict[str, MapSpec]
    programs: dict[str, ProgramSpec]
    variables: dict[str, VariableSpec]
    types: BTF
    byte_order: ByteOrder
    has_btf: bool = True
    license: str = ""
    absent: dict[str, str] = field(default_factory=dict, repr=False)
    """Names that the object has and that cannot be declared, with the reason: static, hidden, extern."""
    source: bytes = field(default=b"", repr=False)
    """The file itself, which libbpf reads again at load."""

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> CollectionSpec:
        """Read an object file.

        Raises:
            SourceError: it is no BPF object, or a broken one.
            OSError: the file cannot be read.
        """
        path = Path(path)
        return cls.from_bytes(path.read_bytes(), name=path.name)

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "object") -> CollectionSpec:
        """Read an object from memory; `name` stands for it in messages.

        Raises:
            SourceError: the data is no BPF object, or a broken one.
        """
        from .reader import read

        return read(bytes(data), name)

    @classmethod
    def of(cls, source: Source) -> CollectionSpec:
        """Return the spec of any source: a path, bytes, an importlib.resources file; a spec is returned as it is."""
        if isinstance(source, CollectionSpec):
            return source
        if isinstance(source, (bytes, bytearray, memoryview)):
            return cls.from_bytes(bytes(source))
        if isinstance(source, (str, os.PathLike)):
            return cls.from_file(source)
        if hasattr(source, "read_bytes"):
            return cls.from_bytes(source.read_bytes(), name=str(getattr(source, "name", "object")))
        raise SourceError(f"{shown(source)} is no source: give a path, bytes, a resource file or a CollectionSpec")

    def copy(self) -> CollectionSpec:
        """Return a spec that can be changed without changing this one; types are shared, since they never change."""
        made = copy.copy(self)
        made.maps = {name: _copy_map(spec) for name, spec in self.maps.items()}
        made.programs = {name: copy.copy(spec) for name, spec in self.programs.items()}
        made.variables = {name: copy.copy(spec) for name, spec in self.variables.items()}
        made.absent = dict(self.absent)
        return made

    def rewrite_constants(self, values: Mapping[str, Any]) -> None:
        """Set the initial values of constants, by C name: all of them or, if anything is wrong, none.

        Raises:
            ConstantError: lists every unknown name, every name that is no constant, and every bad value.
        """
        self.rewrite(values, {})

    def rewrite(self, values: Mapping[str, Any], codecs: Mapping[str, Codec]) -> None:
        """Do what `rewrite_constants` does, with a declaration's own codec for the names that `codecs` has."""
        made: dict[str, bytes] = {}
        wrong: list[Finding] = []
        for name, value in values.items():
            variable = self.variables.get(name)
            if variable is None:
                wrong.append(Finding(name, "no such constant", self.explain_missing(name)))
            elif not variable.constant:
                wrong.append(
                    Finding(name, f"not a constant: it lies in {variable.section}", "set it with .set() or after load")
                )
            else:
                try:
                    made[name] = variable.encode(value, codecs.get(name))
                except BpfValueError as error:
                    wrong.append(Finding(error.path, error.message))
        if wrong:
            raise ConstantError(f"constants of {self.name} were not rewritten", wrong)
        for name, raw in made.items():
            self.variables[name].rewritten = raw

    def explain_missing(self, name: str, *, role: str = "variable") -> str:
        """Say why a name is not there as a `role` ("variable", "map" or "program"), as far as the object tells."""
        if name in self.absent:
            return self.absent[name]
        for other, names in self._roles().items():
            if other != role and name in names:
                return f"{name} is a {other}"
        close = get_close_matches(name, self._roles()[role], 1)
        if close:
            return f"a close match is {close[0]}"
        known = sorted(self._roles()[role])
        if not known:
            return f"the object has no {role}s"
        return f"it has {', '.join(known[:8])}{', …' if len(known) > 8 else ''}"

    def _roles(self) -> dict[str, list[str]]:
        return {
            "variable": list(self.variables),
            "map": [name for name, spec in self.maps.items() if not spec.is_data],
            "program": list(self.programs),
        }

    def closure(self, maps: Iterable[str], programs: Iterable[str]) -> tuple[set[str], set[str]]:
        """Return the maps and the programs needed for these ones to work, themselves included."""
        wanted_maps: set[str] = set()
        wanted_programs: set[str] = set()
        todo = [("map", name) for name in maps] + [("program", name) for name in programs]
        while todo:
            role, name = todo.pop()
            if role == "program":
                if name in self.programs and name not in wanted_programs:
                    wanted_programs.add(name)
                    todo += [("map", used) for used in self.programs[name].maps]
            elif name not in wanted_maps:
                wanted_maps.add(name)
                spec = self.maps.get(name)
                if spec is not None:
                    other = "program" if spec.type in _OF_PROGRAMS else "map"
                    todo += [(other, used) for used in spec.values.values()]
        return wanted_maps, wanted_programs

    def image_of(self, section: str) -> bytes | None:
        """Return the bytes a data section will start with, or None where they are still those of the file."""
        changed = [v for v in self.variables.values() if v.section == section and v.rewritten is not None]
        if not changed:
            return None
        spec = self.maps[section]
        image = bytearray(spec.image or bytes(spec.value_size))
        for variable in changed:
            image[variable.offset : variable.offset + variable.size] = cast(bytes, variable.rewritten)
        return bytes(image)


_OF_PROGRAMS = (MapType.PROG_ARRAY, MapType.STRUCT_OPS)

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | Readable | CollectionSpec
"""What an object can be read from: a path, its bytes, an `importlib.resources` file, or its spec."""


def _copy_map(spec: MapSpec) -> MapSpec:
    made = copy.copy(spec)
    made.values = dict(spec.values)
    if spec.inner is not None:
        made.inner = _copy_map(spec.inner)
    return made
