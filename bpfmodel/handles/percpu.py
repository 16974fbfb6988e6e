"""Values that have a copy for each CPU."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, TypeVar

from ..btf.parse import ByteOrder
from ..errors import BpfTypeError, BpfValueError, shown

if TYPE_CHECKING:
    from ..types.base import Buffer, Codec  # codecs are not needed to declare a map

V = TypeVar("V")


class PerCpu(list[V]):
    """The copies of a value, by the number of their CPU: of all that this machine could have, online or not."""

    __slots__ = ()

    def sum(self) -> V:
        """Add the copies up: numbers, and structs and arrays of numbers member by member.

        Raises:
            BpfTypeError: text, bytes, unions and the like have no sum.
        """
        return _sum(self)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"PerCpu({super().__repr__()})"


def _sum(values: list[Any]) -> Any:
    from ..types.composite import Composite

    first = values[0] if values else 0
    if isinstance(first, (int, float)):
        return sum(values)
    if isinstance(first, list):
        return [_sum(list(row)) for row in zip(*values, strict=True)]
    # A struct keeps its members in its __dict__, a union its bytes.
    if isinstance(first, Composite) and all(not name.startswith("__bpf") for name in vars(first)):
        made = object.__new__(type(first))
        made.__dict__.update({name: _sum([vars(value)[name] for value in values]) for name in vars(first)})
        return made
    if isinstance(first, dict):
        return {name: _sum([value[name] for value in values]) for name in first}
    raise BpfTypeError(f"{shown(first)} is no number, and has no sum over CPUs")


def per_cpu_codec(inner: Codec, cpus: int, order: ByteOrder) -> Codec:
    """Make the codec of a value that has a copy for each CPU, each in a slot rounded up to 8 bytes, as the kernel has it."""
    from ..types.base import Codec
    from ..types.numbers import mark

    stride = (inner.size + 7) // 8 * 8
    size, padding = stride * cpus, bytes(stride - inner.size)
    numbers = struct.Struct(mark(order) + f"{inner.format}{len(padding)}x" * cpus) if inner.format else None

    def decode(buffer: Buffer, offset: int) -> PerCpu[Any]:
        if numbers is not None:
            return PerCpu(numbers.unpack_from(buffer, offset))
        step = inner.decode
        return PerCpu(step(buffer, at) for at in range(offset, offset + size, stride))

    def encode(value: Any) -> bytes:
        if not isinstance(value, (list, tuple)):
            raise BpfTypeError(f"{shown(value)} is no list, and a per-CPU value is one of {cpus}, one for each CPU")
        values = tuple(value)
        if len(values) != cpus:
            raise BpfValueError(f"{len(values)} values, and there are {cpus} CPUs")
        parts = []
        for index, item in enumerate(values):
            try:
                parts.append(inner.encode(item) + padding)
            except BpfValueError as error:
                raise error.within(f"[{index}]") from None
        return b"".join(parts)

    return Codec(size, decode, encode)
