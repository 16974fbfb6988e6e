"""The engine that is this process's memory: the same objects without a kernel, for unit tests, CI and learning."""

from __future__ import annotations

from collections.abc import Set

from ..errors import BpfModelError, NotSupportedError
from ..spec.collection import CollectionSpec
from .base import Engine, LoadedLink, LoadedObject, LoadedProgram, LoadOptions, RunResult, closed
from .memorykinds import fill, make_map


class MemoryEngine(Engine):
    """Holds variables and maps in this process, without privileges and on any operating system."""

    name = "memory"

    def load(self, spec: CollectionSpec, maps: Set[str], programs: Set[str], options: LoadOptions) -> MemoryObject:
        """Make these maps and programs in memory."""
        for name in maps & spec.maps.keys():
            spec.maps[name].check()
        return MemoryObject(spec, maps, programs)


class MemoryObject(LoadedObject):
    """An object in this process."""

    def __init__(self, spec: CollectionSpec, maps: Set[str], programs: Set[str]) -> None:
        self.maps = {name: make_map(spec, spec.maps[name]) for name in maps if name in spec.maps}
        self.programs = {name: MemoryProgram(name) for name in programs}
        fill(spec, self.maps, self.programs)

    def close(self) -> None:
        """Drop everything."""
        for held in self.maps.values():
            held.close()
        for program in self.programs.values():
            assert isinstance(program, MemoryProgram)
            program.closed = True


class MemoryProgram(LoadedProgram):
    """A program that is here and cannot run: no engine but the kernel runs programs yet."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.closed = False

    def run(self, data: bytes, ctx: bytes, repeat: int) -> RunResult:  # noqa: D102
        raise self._refuse("runs no programs")

    def attach(self) -> LoadedLink:  # noqa: D102
        raise self._refuse("has nothing to attach to")

    def attach_xdp(self, interface: int, flags: int) -> LoadedLink:  # noqa: D102
        raise self._refuse("has nothing to attach to")

    def fileno(self) -> int:  # noqa: D102
        raise self._refuse("has no file descriptors")

    def _refuse(self, why: str) -> BpfModelError:
        if self.closed:
            return closed(self.name)
        return NotSupportedError(f"{self.name}: MemoryEngine {why}; load with engine=None, which is the kernel")
