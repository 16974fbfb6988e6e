"""The contract of an engine: bytes, integers and file descriptors; no types and no Python values.

An engine turns a spec into a `LoadedObject`. Everything above it packs and unpacks values; everything below it is the
machine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Set
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ClosedError, KernelError, NotSupportedError, Unique

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


class Slot(NamedTuple):
    """Buffers for one operation at a time, and the operations on them, ready to be called: the way without detours.

    The views have just the bytes of a key and of a value as they cross to user space. Each operation returns 0, or the
    negative errno that `LoadedMap.failure` makes an error of. After close they return an errno as well.
    """

    key: memoryview
    value: memoryview
    lookup: Callable[[], int]
    update: Callable[[], int]
    delete: Callable[[], int]


class Batch(NamedTuple):
    """What one read of many entries brought."""

    done: int
    """How many entries."""
    cursor: bytes | None
    """Where to go on; None at the end."""


class LoadedMap(Unique, ABC):
    """A map that exists. Sizes are those of the engine that holds it, which has the last word on them.

    Queues, stacks and Bloom filters have no keys: None stands in their place.
    """

    name: str
    type: int
    key_size: int
    value_size: int
    """The bytes of a value as they cross to user space: all slots of a per-CPU value."""
    max_entries: int
    flags: int
    cpus: int = 0
    """How many slots a per-CPU value has; 0 for other maps."""

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Whether it was closed."""

    @abstractmethod
    def slot(self) -> Slot:
        """Make buffers for one operation at a time. Two threads never share one."""

    @abstractmethod
    def failure(self, verb: str, number: int) -> KernelError | ClosedError | NotSupportedError:
        """Make the error for an errno; `verb` is what was tried: read, store, delete, iterate."""

    @abstractmethod
    def lookup(self, key: bytes | None, flags: int = 0) -> bytes | None:
        """Return the value's bytes, or None where the map does not hold the key.

        Raises:
            MapError, NotSupportedError, ClosedError: the kernel refused; so do all operations.
        """

    @abstractmethod
    def update(self, key: bytes | None, value: bytes, flags: int = 0) -> None:
        """Store a value; `flags` are BPF_ANY, BPF_NOEXIST, BPF_EXIST, BPF_F_LOCK.

        Raises:
            MapError: the map is full, or the flags forbid it; errno says which.
        """

    @abstractmethod
    def delete(self, key: bytes) -> bool:
        """Remove a key; False where the map does not hold it."""

    @abstractmethod
    def take(self, key: bytes | None) -> bytes | None:
        """Return a value and remove it, in one step; None where there is none."""

    @abstractmethod
    def next_key(self, key: bytes | None) -> bytes | None:
        """Return the key behind this one, or the first one for None; None at the end."""

    @abstractmethod
    def holds(self, value: bytes) -> bool:
        """Tell whether a Bloom filter may hold a value."""

    @abstractmethod
    def read_batch(
        self, cursor: bytes | None, keys: memoryview, values: memoryview, count: int, *, delete: bool = False
    ) -> Batch:
        """Read, and perhaps remove, up to `count` entries into writable buffers of at least that many keys and values.

        Raises:
            NotSupportedError: this kernel has no such operation for this kind of map.
            MapError: ENOSPC where `count` is too small for some of the map's buckets; nothing was lost.
        """

    @abstractmethod
    def write_batch(self, keys: memoryview, values: memoryview, count: int, flags: int = 0) -> None:
        """Store many entries.

        Raises:
            NotSupportedError: this kernel has no such operation for this kind of map.
            MapError: the kernel stopped at one of them; those before it are stored.
        """

    @abstractmethod
    def delete_batch(self, keys: memoryview, count: int) -> int:
        """Remove many keys and return how many; it ends at the first one that the map does not hold.

        Raises:
            NotSupportedError: this kernel has no such operation for this kind of map.
        """

    @abstractmethod
    def memory(self) -> memoryview | None:
        """Return the live bytes, read-only if they are constant; None where they cannot be mapped into the process."""

    @abstractmethod
    def stream(self) -> Stream:
        """Open a ring or perf array for reading its records.

        Raises:
            NotSupportedError: this engine cannot; or it is a map of another kind.
        """

    @abstractmethod
    def writer(self) -> Writer:
        """Open a user ring buffer for writing records.

        Raises:
            NotSupportedError: this engine or libbpf cannot; or it is a map of another kind.
        """

    @abstractmethod
    def inner(self, number: int) -> LoadedMap:
        """Open the map that a map of maps holds under this number, which is what looking it up gives."""

    @abstractmethod
    def new_inner(self, max_entries: int) -> LoadedMap:
        """Create a map of the kind that this map of maps holds; 0 entries stand for as many as its template has."""

    @abstractmethod
    def reference(self, other: LoadedMap | LoadedProgram) -> bytes:
        """Return the value that stands for a map or program when it is stored in this one."""

    @abstractmethod
    def fileno(self) -> int:
        """Return the file descriptor.

        Raises:
            NotSupportedError: this engine has none.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of it; every use from then on raises ClosedError."""


class Records(NamedTuple):
    """What becomes of records. Plain functions of bytes, so that the loop over them has no detour."""

    size: int
    """The length that most of them have."""
    decode: Callable[[memoryview, int], Any]
    """Makes the value of one of that length, from an offset of a view."""
    other: Callable[[memoryview, int, int], Any]
    """Makes the value of one of another length, or raises; it gets view, offset and length."""
    append: Callable[[Any], object]
    """Takes the value."""


class Stream(Unique, ABC):
    """The records that programs hand over, each once and in order. For one thread at a time: handles hold a lock."""

    lost: int = 0
    """How many records were lost for want of room, as far as the kernel tells."""
    padded: bool = False
    """Whether records come with up to 7 bytes behind them that are none of theirs."""

    @abstractmethod
    def read(self, most: int, records: Records) -> int:
        """Take up to `most` records out of the stream; return how many.

        A record is gone from the stream once it was decoded, even where that raises.
        """

    @abstractmethod
    def read_equal(self, size: int) -> Iterator[tuple[memoryview, int, int, int]]:
        """Yield runs of records of just `size` bytes, as (view, offset of the first, stride, count).

        A run is given back to the programs when the next one is asked for.

        Raises:
            BpfValueError: a record has another size; it is passed over.
        """

    @abstractmethod
    def wait(self, timeout: float | None) -> bool:
        """Wait until there are records, or `wake` was called, or so many seconds are over; return whether to look."""

    @abstractmethod
    def wake(self) -> None:
        """Have every wait end, those that are still to come as well."""

    @abstractmethod
    def descriptors(self) -> tuple[int, int]:
        """Return the descriptors that are readable when there are records, and when `wake` was called.

        Raises:
            NotSupportedError: this engine has none.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of the memory."""


class Writer(Unique, ABC):
    """The way of records to programs. For one thread at a time."""

    @abstractmethod
    def write(self, record: bytes) -> bool:
        """Append a record; False where there is no room for it now."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the memory."""


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
