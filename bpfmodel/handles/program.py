"""Programs: run them on demand, attach them."""

from __future__ import annotations

from errno import ENODEV
from typing import TYPE_CHECKING, Any, Generic, Literal, overload
from weakref import WeakSet

from ..engine.base import LoadedLink, LoadedObject, LoadedProgram, RunResult
from ..errors import AttachError, BpfTypeError, BpfValueError, Unique, shown
from .field import ProgramField
from .kinds import XDP, ProgramKind
from .link import Link

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from ..spec.specs import ProgramSpec
    from ..spec.uapi import AttachType, ProgType

    P = TypeVar("P", bound=ProgramKind, default=Any)
else:  # a default for a type variable is of use to static checkers only
    from typing import TypeVar

    P = TypeVar("P")

# XDP_FLAGS_SKB_MODE and so on, of linux/if_link.h.
_XDP_MODES = {"auto": 0, "generic": 2, "native": 4, "offload": 8}


class Program(Unique, Generic[P]):
    """A program in the kernel. ``Program[XDP]`` also declares its kind; `bpfmodel.handles.kinds` has them."""

    __slots__ = ("_links", "_owner", "_program", "attach_type", "name", "section", "type")

    name: str
    """The C name."""
    section: str
    """The ELF section it comes from, which says what it is and where it attaches: ``raw_tp/sys_enter``."""
    type: ProgType | int
    """The kernel's type of program."""
    attach_type: AttachType | int | None
    """The kernel's expected attach type, if the type has any."""

    def __init__(self, loaded: LoadedProgram, spec: ProgramSpec, links: WeakSet[Link], owner: LoadedObject) -> None:
        self.name, self.section, self.type, self.attach_type = spec.name, spec.section, spec.type, spec.attach_type
        self._program = loaded
        self._links = links
        self._owner = owner  # lives as long as anything of it is held

    def run(
        self, data: bytes | bytearray | memoryview = b"", *, ctx: bytes | bytearray | memoryview = b"", repeat: int = 1
    ) -> RunResult:
        """Run the program in the kernel, without attaching it, and return what it did.

        Args:
            data: the packet, for types that take one; 14 bytes at least.
            ctx: the context struct's bytes, for types that take one.
            repeat: how often to run; the duration is an average.

        Raises:
            RunError: the kernel refused; the message says what it expects.
            NotSupportedError: this type of program cannot be run on demand, or not by this engine.
            ClosedError: the object was closed.
        """
        for name, given in (("data", data), ("ctx", ctx)):
            if not isinstance(given, (bytes, bytearray, memoryview)):
                raise BpfTypeError(f"{shown(given)} is no bytes", f"{self.name}.run({name})")
        if not isinstance(repeat, int):
            raise BpfTypeError(f"{shown(repeat)} is no integer", f"{self.name}.run(repeat)")
        return self._program.run(bytes(data), bytes(ctx), repeat)

    def attach(self) -> Link:
        """Attach the program to what its section names, such as ``raw_tp/sys_enter``.

        Keep the link: the program is detached when nobody holds it.

        Raises:
            AttachError: the section names nothing to attach to, or the kernel refused.
            ClosedError: the object was closed.
        """
        return self._held(self._program.attach())

    def attach_xdp(
        self, interface: str | int, *, mode: Literal["auto", "generic", "native", "offload"] = "auto"
    ) -> Link:
        """Attach an XDP program to a network interface, given by name or index.

        Keep the link: the program is detached when nobody holds it.

        Args:
            interface: ``"eth0"``, or an interface's index.
            mode: where the program runs: ``native`` in the driver, ``generic`` behind it, which every driver can do,
                ``offload`` in the device; ``auto`` leaves it to the kernel.

        Raises:
            AttachError: there is no such interface, the program is no XDP program, or the kernel refused.
            ClosedError: the object was closed.
        """
        if getattr(self.type, "name", "") not in XDP.types:
            raise AttachError(f"{self.name} is no XDP program: it comes from section {self.section}")
        if mode not in _XDP_MODES:
            raise BpfValueError(f"{mode!r} is none of {', '.join(_XDP_MODES)}", f"{self.name}.attach_xdp(mode)")
        if isinstance(interface, str):
            import socket

            try:
                index = socket.if_nametoindex(interface)
            except (OSError, ValueError):
                known = ", ".join(name for _, name in socket.if_nameindex())
                raise AttachError(
                    f"{self.name}: no network interface {interface!r} here; there are {known}", ENODEV
                ) from None
        elif not isinstance(interface, int):
            raise BpfTypeError(f"{shown(interface)} is no interface", f"{self.name}.attach_xdp(interface)")
        elif not 0 < interface < 1 << 31:
            raise AttachError(f"{self.name} cannot be attached to interface {shown(interface)}: there is none", ENODEV)
        else:
            index = interface
        return self._held(self._program.attach_xdp(index, _XDP_MODES[mode]))

    def fileno(self) -> int:
        """Return the program's file descriptor, which stays the object's own.

        Raises:
            ClosedError: the object was closed.
        """
        return self._program.fileno()

    @property
    def log(self) -> str:
        """What the verifier said of it; empty unless ``LoadOptions(log_level=…)`` asked for it."""
        return self._program.log

    def _held(self, loaded: LoadedLink) -> Link:
        link = Link(loaded, self.name, self._owner)
        self._links.add(link)
        return link

    def __repr__(self) -> str:
        return f"<Program {self.name} ({self.section})>"

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: Any) -> ProgramField: ...
        @overload
        def __get__(self, instance: object, owner: Any) -> Program[P]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...
