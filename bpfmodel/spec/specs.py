"""The plans of maps, programs and variables, as plain data. References between them are names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..btf import kinds
from ..btf.kinds import strip
from ..btf.layout import fitted
from ..btf.parse import ByteOrder
from ..btf.render import describe
from ..errors import BpfTypeError, BpfValueError, shown
from ..types.base import Codec
from ..types.codec import codec_for
from .uapi import AttachType, MapType, ProgType


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

    @property
    def folded(self) -> bool:
        """Whether the compiler put its value into the code, so that rewriting it changes nothing.

        That happens to constants that are not volatile; without BTF it is guessed of all that no code refers to.
        """
        return self.constant and not self.referenced and (self.type is None or not kinds.is_volatile(self.type))

    def describe(self) -> str:
        """Name its C type and size."""
        return f"{self.size} bytes without BTF" if self.type is None else describe(self.type)
