"""The contract of an engine: bytes, integers and file descriptors; no types and no Python values.

An engine turns a spec into a `LoadedObject`. Everything above it packs and unpacks values; everything below it is the
machine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Set
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ClosedError, Unique

if TYPE_CHECKING:  # reading objects is not needed to name an engine
    from ..spec.collection import CollectionSpec


class LoadOptions(NamedTuple):
    """How to load an object; what an engine does not know of has no effect on it."""

    log_level: int = 0
    """The verifier's, for `Program.log`: 0 nothing, 1 a summary of each program, 2 every instruction it looked at."""
    btf_path: str | None = None
    """A file with the BTF of the running kernel, for kernels that lack /sys/kernel/btf/vmlinux."""
    kconfig: str | None = None
    """Lines ``CONFIG_NAME=value`` that go before the running kernel's configuration, for ``__kconfig`` externs."""
    pin_path: str | None = None
    """The directory on bpffs for maps that ask to be pinned by name; they are reused if they are there already."""


class RunResult(NamedTuple):
    """What a program did when the kernel ran it."""

    retval: int
    """What it returned, as the kernel gives it: unsigned, 32 bits."""
    data: bytes
    """The packet after the program has run; empty for programs that take none."""
    ctx: bytes
    """The context after the program has run; empty unless one was given."""
    duration: int
    """The average time of one run in nanoseconds, as measured by the kernel."""
    repeat: int
    """How often it ran."""


class LoadedMap(Unique, ABC):
    """A map that exists. Sizes are those of the engine that holds it, which has the last word on them."""

    name: str
    key_size: int
    value_size: int
    max_entries: int

    @abstractmethod
    def lookup(self, key: bytes) -> bytes | None:
        """Return the value's bytes, or None where the map does not hold the key."""

    @abstractmethod
    def update(self, key: bytes, value: bytes, flags: int = 0) -> None:
        """Store a value; `flags` are BPF_ANY, BPF_NOEXIST, BPF_EXIST.

        Raises:
            MapError: the map is full, or the flags forbid it.
        """

    @abstractmethod
    def delete(self, key: bytes) -> bool:
        """Remove a key; False where the map does not hold it."""

    @abstractmethod
    def next_key(self, key: bytes | None) -> bytes | None:
        """Return the key behind this one, or the first one for None; None at the end."""

    @abstractmethod
    def memory(self) -> memoryview | None:
        """Return the live bytes of a data section, read-only if it is constant; None where they cannot be mapped."""

    @abstractmethod
    def fileno(self) -> int:
        """Return the file descriptor.

        Raises:
            NotSupportedError: this engine has none.
        """


class LoadedLink(Unique, ABC):
    """An attachment that exists."""

    @abstractmethod
    def close(self) -> None:
        """Give the attachment up; it ends unless something else, such as a pin, holds it."""

    @abstractmethod
    def detach(self) -> None:
        """End the attachment now, whoever else holds it."""

    @abstractmethod
    def pin(self, path: str) -> None:
        """Keep the attachment alive by a file on bpffs."""

    @abstractmethod
    def update(self, program: LoadedProgram) -> None:
        """Swap the attached program for another without a gap."""


class LoadedProgram(Unique, ABC):
    """A program that exists."""

    name: str
    log: str = ""
    """What the verifier said, where `LoadOptions.log_level` asked for it."""

    @abstractmethod
    def run(self, data: bytes, ctx: bytes, repeat: int) -> RunResult:
        """Run it on a packet and a context.

        Raises:
            RunError: the kernel refused.
            NotSupportedError: this engine cannot run it.
        """

    @abstractmethod
    def attach(self) -> LoadedLink:
        """Attach it to what its section names."""

    @abstractmethod
    def attach_xdp(self, interface: int, flags: int) -> LoadedLink:
        """Attach it to a network interface; `flags` are XDP_FLAGS_*_MODE of ``linux/if_link.h``."""

    @abstractmethod
    def fileno(self) -> int:
        """Return the file descriptor."""


class LoadedObject(Unique, ABC):
    """What an engine made of a spec, by name."""

    maps: dict[str, LoadedMap]
    programs: dict[str, LoadedProgram]

    @abstractmethod
    def close(self) -> None:
        """Close everything, even where closing something fails; may be called again."""

    def unpin(self) -> None:
        """Remove the pins that this load made, for a failure after it; close() leaves them, as it should."""


class Engine(ABC):
    """Loads specs."""

    name: str

    @abstractmethod
    def load(self, spec: CollectionSpec, maps: Set[str], programs: Set[str], options: LoadOptions) -> LoadedObject:
        """Load just these maps and programs of a spec, which it never changes. All or nothing.

        Raises:
            LoadError: with what was in the way; nothing is left behind.
            NotSupportedError: this engine, kernel or libbpf lacks something; the message names it.
        """


def closed(what: str) -> ClosedError:
    """Make the error for the use of a handle whose object was closed."""
    return ClosedError(f"{what} is closed: its object was closed, or the with block that held it has ended")
