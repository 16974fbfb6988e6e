"""Maps that are arrays: `ArrayMap` and `PerCpuArrayMap`, as sequences of a fixed length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from ..errors import BpfTypeError, BpfValueError, shown
from .batches import Batches, chunks, decoded, while_open
from .field import MapField
from .mappings import Locked
from .percpu import PerCpu

if TYPE_CHECKING:
    import numpy

V = TypeVar("V")


class AnyArray(Batches[int, V], Sequence[V], Generic[V]):
    """What arrays share: a sequence whose elements can be set and whose length never changes.

    Indexes count from 0, negative ones from the end; a slice is read as a list. Iterating reads a chunk a system call.
    """

    __slots__ = ()
    parameters = ("value",)
    access = "array"

    if TYPE_CHECKING:  # what is made for each map: see `maps`

        @overload
        def __getitem__(self, index: int) -> V: ...
        @overload
        def __getitem__(self, index: slice) -> list[V]: ...
        def __getitem__(self, index: int | slice) -> V | list[V]: ...
        def __setitem__(self, index: int, value: V) -> None: ...

    def __len__(self) -> int:
        return self.max_entries

    def __iter__(self) -> Iterator[V]:
        for _, values, count in chunks(self._map):
            yield from while_open(self._map, decoded(self._value, values, count))

    def to_numpy(self) -> numpy.ndarray[Any, Any]:
        """Return a copy of all elements as a NumPy array, structured for structs, read a chunk a system call.

        Elements of per-CPU arrays have a second axis, the CPU.

        Raises:
            NotSupportedError: NumPy is not installed.
        """
        _, values, count = self._arrays(self.max_entries)
        found: numpy.ndarray[Any, Any] = self._plain(values[:count])
        return found

    def update_numpy(self, values: numpy.ndarray[Any, Any]) -> None:  # type: ignore[override]  # the keys are indexes
        """Store an array of as many elements as there are, all of them.

        Raises:
            BpfValueError: it has another length, or something does not fit the C type; nothing is stored.
            BpfTypeError: it has other fields than the struct.
        """
        if len(values) != self.max_entries:
            raise BpfValueError(f"{len(values)} values for {self.max_entries} elements", f"{self.name}.update_numpy")
        super().update_numpy(range(self.max_entries), values)

    @property
    def locked(self) -> Locked[int, V]:
        """The elements under the spin lock that each of them has, for programs that change them under it.

        Reading and storing them raises MapError where the value has no ``struct bpf_spin_lock``.
        """
        return Locked(self)

    def _place(self, key: Any) -> int:
        index = key
        if not hasattr(index, "__index__"):
            raise BpfTypeError(f"{shown(index)} is no index; {self.name} takes integers", self.name)
        number: int = index.__index__()
        if not -self.max_entries <= number < self.max_entries:
            raise IndexError(f"{self.name} has {self.max_entries} elements, and no index {number}")
        return number % self.max_entries


class ArrayMap(AnyArray[V], Generic[V]):
    """An array, as a sequence whose elements can be set and whose length never changes.

    Indexes count from 0, negative ones from the end; a slice is read as a list. Where the object makes it mappable
    (``BPF_F_MMAPABLE``), `memory` and `numpy` are live views of its bytes.
    """

    __slots__ = ()
    map_type = "ARRAY"

    @property
    def memory(self) -> memoryview:
        """The array's bytes themselves; each element begins at a multiple of 8 bytes. Closing the object takes them back.

        Raises:
            ClosedError: the object was closed.
            NotSupportedError: the map was not made with ``BPF_F_MMAPABLE``.
        """
        return self._mapped(": define it with __uint(map_flags, BPF_F_MMAPABLE)")

    def numpy(self) -> numpy.ndarray[Any, Any]:
        """Return a NumPy array on the map's own memory: nothing is copied, both sides see what either writes.

        Unlike a handle it goes on showing the map's memory after the object is closed.

        Raises:
            ClosedError: the object was closed.
            NotSupportedError: NumPy is not installed, or the map was not made with ``BPF_F_MMAPABLE``.
        """
        from ..types.dtypes import array_over, dtype_of, numpy_module

        plain = dtype_of(self._shape.value, self._shape.order)
        stride = (plain.itemsize + 7) // 8 * 8
        if self.max_entries == 1 or stride == plain.itemsize:
            return array_over(memoryview(self.memory), plain, self.max_entries)
        padded = numpy_module().dtype({"names": ["value"], "formats": [plain], "offsets": [0], "itemsize": stride})
        found: numpy.ndarray[Any, Any] = array_over(memoryview(self.memory), padded, self.max_entries)["value"]
        return found

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[int, V]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> ArrayMap[V]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...


class PerCpuArrayMap(AnyArray[PerCpu[V]], Generic[V]):
    """An array whose elements have a copy for each CPU: `PerCpu` lists, which have a ``sum()``."""

    __slots__ = ()
    map_type = "PERCPU_ARRAY"

    if TYPE_CHECKING:

        def __setitem__(self, index: int, value: list[V]) -> None: ...
        @overload
        def __get__(self, instance: None, owner: type[Any]) -> MapField[int, PerCpu[V]]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> PerCpuArrayMap[V]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...
