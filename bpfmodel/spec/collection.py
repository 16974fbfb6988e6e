"""The plan of an object, as plain data: `CollectionSpec` and what it holds.

Specs are made by reading, changed by the user, and never by loading; one spec loads many times. References between
objects are names, which only an engine turns into file descriptors.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from ..btf.parse import BTF, ByteOrder
from ..errors import BpfValueError, ConstantError, Finding, FoldedConstantWarning, SourceError, shown
from ..types.base import Codec
from .reader import read
from .specs import MapSpec, ProgramSpec, VariableSpec
from .uapi import MapType

S = TypeVar("S")


class Readable(Protocol):
    """A file as `importlib.resources.files()` gives it, and any path."""

    def read_bytes(self) -> bytes:
        """Return all of it."""
        ...


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
        data = bytes(data)
        return cls(name, **read(data, name)._asdict(), source=data)

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
        made = _copy(self)
        made.maps = {name: _copy_map(spec) for name, spec in self.maps.items()}
        made.programs = {name: _copy(spec) for name, spec in self.programs.items()}
        made.variables = {name: _copy(spec) for name, spec in self.variables.items()}
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
            variable = self.variables.get(name) if isinstance(name, str) else None
            if not isinstance(name, str):
                wrong.append(Finding(shown(name), "no such constant", "names are text"))
            elif variable is None:
                wrong.append(Finding(name, "no such constant", self.explain_missing(name, role="constant")))
            elif not variable.constant:
                wrong.append(
                    Finding(
                        name,
                        f"not a constant: it lies in {variable.section}",
                        "set it with open(…).set(Objects.field, value), or after load",
                    )
                )
            else:
                try:
                    made[name] = variable.encode(value, codecs.get(name))
                except BpfValueError as error:
                    wrong.append(Finding(error.path, error.message))
        if wrong:
            raise ConstantError(f"constants of {self.name} were not rewritten", wrong)
        for name in made:
            warn_folded(self.variables[name])  # first, since it raises where warnings are errors
        for name, raw in made.items():
            self.variables[name].rewritten = raw

    def explain_missing(self, name: str, *, role: str = "variable") -> str:
        """Say why a name is not there as a `role`, as far as the object tells.

        Roles are "variable", "constant", "map" and "program".
        """
        if name in self.absent:
            return self.absent[name]
        for other, names in self._roles().items():
            if other != role and name in names:
                return f"{name} is a {other}"
        names = self._roles()[role]
        # Comparing with thousands of names takes longer than reading the object.
        close = get_close_matches(name, names, 1) if len(names) <= 2000 else []
        if close:
            return f"a close match is {close[0]}"
        known = self._roles()[role]
        return _some(known) if known else f"the object has no {role}s"

    def _roles(self) -> dict[str, list[str]]:
        return {
            "variable": list(self.variables),
            "constant": [name for name, spec in self.variables.items() if spec.constant],
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
            if len(cast(bytes, variable.rewritten)) != variable.size:
                raise BpfValueError(f"rewritten to another size than its {variable.size} bytes", variable.name)
            image[variable.offset : variable.offset + variable.size] = cast(bytes, variable.rewritten)
        return bytes(image)


_OF_PROGRAMS = (MapType.PROG_ARRAY, MapType.STRUCT_OPS)

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | Readable | CollectionSpec
"""What an object can be read from: a path, its bytes, an `importlib.resources` file, or its spec."""


def _copy(spec: S) -> S:
    """Do what `copy.copy` does, without its detour through pickling: there may be thousands."""
    made = object.__new__(type(spec))
    for name in spec.__slots__:  # type: ignore[attr-defined]  # every spec is a dataclass with slots
        setattr(made, name, getattr(spec, name))
    return made


def _copy_map(spec: MapSpec) -> MapSpec:
    made = _copy(spec)
    made.values = dict(spec.values)
    if spec.inner is not None:
        made.inner = _copy_map(spec.inner)
    return made


def _some(names: list[str]) -> str:
    names = sorted(names)
    return f"it has {', '.join(names[:8])}{', …' if len(names) > 8 else ''}"


def warn_folded(variable: VariableSpec) -> None:
    """Warn, at the line that called the library, that rewriting a constant changes nothing."""
    if not variable.folded:
        return
    level, frame = 1, sys._getframe(0)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("bpfmodel."):
        level, frame = level + 1, frame.f_back  # type: ignore[assignment]
    warnings.warn(
        f"{variable.name}: no code refers to it: the compiler folded its value, and rewriting it changes nothing; "
        "declare it const volatile in C",
        FoldedConstantWarning,
        stacklevel=level,
    )
