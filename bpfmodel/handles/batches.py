"""Many entries at once: a chunk a system call, as Python values or straight into NumPy arrays.

Where the kernel has no such operation (before 5.6, and for some kinds of maps), entries are read and stored one by one; what
comes out is the same.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..engine.base import LoadedMap, closed
from ..errors import BpfTypeError, BpfValueError, MapError, NotSupportedError, shown
from .maps import AnyMap

if TYPE_CHECKING:
    import numpy

    from ..types.base import Codec

T = TypeVar("T")
K = TypeVar("K")
V = TypeVar("V")


def _dtypes() -> Any:
    """Return the module that knows NumPy: neither is needed to declare a map."""
    from ..types import dtypes

    return dtypes


CHUNK = 4096
"""Entries read or stored by one system call, unless told otherwise."""
_ROOM = 1 << 20  # entries that `to_numpy` makes room for at first; memory that is never touched costs nothing


def chunks(held: LoadedMap, size: int = CHUNK, *, delete: bool = False) -> Iterator[tuple[memoryview, memoryview, int]]:
    """Yield a map's entries, a chunk at a time, as (keys, values, count); the buffers are used again for the next.

    Each entry that is there all the time appears once.
    """
    count = max(1, min(size, held.max_entries))
    cursor: bytes | None = None
    while True:
        keys, values = memoryview(bytearray(held.key_size * count)), memoryview(bytearray(held.value_size * count))
        try:
            while True:
                batch = held.read_batch(cursor, keys, values, count, delete=delete)
                if batch.done:
                    yield keys, values, batch.done
                if batch.cursor is None:
                    return
                cursor = batch.cursor
        except MapError as error:
            if error.errno != errno.ENOSPC:  # a bucket has more than the buffers hold: make them larger and go on
                raise
            count *= 2
        except NotSupportedError:
            break
    yield from _one_by_one(held, count, delete)


def _one_by_one(held: LoadedMap, size: int, delete: bool) -> Iterator[tuple[memoryview, memoryview, int]]:
    keys, values, count = bytearray(), bytearray(), 0
    for key in all_keys(held):
        value = held.take(key) if delete else held.lookup(key)
        if value is None:
            continue  # gone meanwhile
        keys += key
        values += value
        count += 1
        if count == size:
            yield memoryview(keys), memoryview(values), count
            keys, values, count = bytearray(), bytearray(), 0
    if count:
        yield memoryview(keys), memoryview(values), count


def all_keys(held: LoadedMap) -> list[bytes]:
    """Collect the keys one by one. The kernel starts over when the key it stands on is deleted, so each is taken once."""
    found: dict[bytes, None] = {}
    key = held.next_key(None)
    repeats = 0
    while key is not None and repeats <= held.max_entries:
        if key in found:
            repeats += 1
        found[key] = None
        key = held.next_key(key)
    return list(found)


def while_open(held: LoadedMap, values: Iterable[T]) -> Iterator[T]:
    """Yield what was read before, as long as the map is open: nothing stale is handed out after close."""
    for value in values:
        if held.closed:
            raise closed(held.name)
        yield value


def decoded(codec: Codec, view: memoryview, count: int) -> list[Any]:
    """Decode values that lie one behind the other."""
    if codec.format:
        return view[: codec.size * count].cast(codec.format).tolist()  # type: ignore[call-overload,no-any-return]
    step = codec.decode
    return [step(view, at) for at in range(0, codec.size * count, codec.size)]


class Batches(AnyMap, Generic[K, V]):
    """What maps with keys do with many entries at once."""

    __slots__ = ()

    def lookup_batch(self, size: int = CHUNK) -> Iterator[list[tuple[K, V]]]:
        """Yield all entries, up to `size` at a time; those that programs add or remove meanwhile may or may not appear."""
        for keys, values, count in chunks(self._map, positive(size, self.name)):
            yield list(zip(decoded(self._key, keys, count), decoded(self._value, values, count), strict=True))

    def update_batch(self, entries: Mapping[K, V] | Iterable[tuple[K, V]], *, size: int = CHUNK) -> None:
        """Store many entries. All of them are checked first, so that a wrong one leaves the map as it was.

        Raises:
            BpfValueError: a key or value does not fit its C type.
            MapError: the kernel stopped on the way, as it does where the map is full; those before it are stored.
        """
        pairs = entries.items() if isinstance(entries, Mapping) else entries
        keys, values, count = bytearray(), bytearray(), 0
        for key, value in pairs:
            keys += self._pack_key(self._place(key))
            values += self._pack_value(value)
            count += 1
        self._store(memoryview(keys), memoryview(values), count, positive(size, self.name))

    def _store(self, keys: memoryview, values: memoryview, count: int, size: int = CHUNK) -> None:
        """Store entries whose bytes lie one behind the other."""
        held, wide, deep = self._map, self._map.key_size, self._map.value_size
        for first in range(0, count, size):
            here = min(size, count - first)
            some, of = keys[first * wide : (first + here) * wide], values[first * deep : (first + here) * deep]
            try:
                held.write_batch(some, of, here)
            except NotSupportedError:
                for at in range(here):
                    held.update(bytes(some[at * wide : (at + 1) * wide]), bytes(of[at * deep : (at + 1) * deep]))

    def to_numpy(self) -> Any:
        """Return all entries as NumPy arrays (keys, values), structured for structs, read a chunk a system call.

        Values of per-CPU maps have a second axis, the CPU.

        Raises:
            NotSupportedError: NumPy is not installed.
        """
        keys, values, count = self._arrays(self._map.max_entries)
        return keys[:count], self._plain(values[:count])

    def update_numpy(self, keys: Any, values: Any) -> None:
        """Store the entries of two arrays of the same length; values of per-CPU maps have a second axis.

        Raises:
            BpfValueError: the lengths differ, or something does not fit its C type; nothing is stored.
            BpfTypeError: an array has other fields than the struct.
            MapError: the kernel stopped on the way.
        """
        packed = _fitting(keys, self._key_dtype(), (), f"{self.name}.key")
        stored = self._padded(values)
        if len(packed) != len(stored):
            raise BpfValueError(f"{len(packed)} keys and {len(stored)} values", f"{self.name}.update_numpy")
        self._store(_bytes_of(packed), _bytes_of(stored), len(packed), len(packed) or 1)

    def _key_dtype(self) -> Any:
        return _dtypes().dtype_of(self._shape.key, self._shape.order)

    def _value_dtype(self) -> Any:
        """Return the dtype of a value with the padding that per-CPU values have between them."""
        plain, cpus = _dtypes().dtype_of(self._shape.value, self._shape.order), self._map.cpus
        if not cpus:
            return plain
        slot = {"names": ["value"], "formats": [plain], "offsets": [0], "itemsize": (plain.itemsize + 7) // 8 * 8}
        return _dtypes().numpy_module().dtype((slot, (cpus,)))

    def _plain(self, values: Any) -> Any:
        return values["value"] if self._map.cpus else values

    def _padded(self, values: Any) -> Any:
        cpus, wanted = self._map.cpus, _dtypes().dtype_of(self._shape.value, self._shape.order)
        plain = _fitting(values, wanted, (cpus,) if cpus else (), f"{self.name}.value")
        if not cpus:
            return plain
        padded = _dtypes().numpy_module().zeros(len(plain), self._value_dtype())
        padded["value"] = plain
        return padded

    def _arrays(self, room: int) -> tuple[Any, Any, int]:
        """Read all entries into arrays with room for more; return them and how many there are."""
        numpy = _dtypes().numpy_module()
        held, key, value = self._map, self._key_dtype(), self._value_dtype()
        room = max(1, min(room, _ROOM))
        keys, values = numpy.empty(room, key), numpy.empty(room, value)
        count, cursor, more = 0, None, True
        try:
            while more:
                left = len(keys) - count
                if left:
                    wide, deep = _bytes_of(keys)[count * held.key_size :], _bytes_of(values)[count * held.value_size :]
                    try:
                        done, cursor = held.read_batch(cursor, wide, deep, left)
                    except MapError as error:
                        if error.errno != errno.ENOSPC:
                            raise
                        left = 0  # a bucket has more than there is room for
                    else:
                        count, more = count + done, cursor is not None
                if more and (not left or count == len(keys)):
                    keys, values = _longer(keys), _longer(values)
        except NotSupportedError:
            for some, of, found in _one_by_one(held, max(1, held.max_entries), False):
                return _dtypes().array_over(some, key, found), _dtypes().array_over(of, value, found), found
        return keys, values, count


def positive(size: Any, name: str) -> int:
    """Return the size of a batch, or raise BpfValueError where it is none."""
    if not isinstance(size, int) or size < 1:
        raise BpfValueError(f"{shown(size)} is no size of a batch: it counts entries", name)
    return size


def _longer(array: Any) -> Any:
    made = _dtypes().numpy_module().empty((2 * len(array), *array.shape[1:]), array.dtype)
    made[: len(array)] = array
    return made


def _bytes_of(array: Any) -> memoryview:
    """Return the bytes of a contiguous array; of a view cast, which NumPy's own buffer of structs does not allow."""
    return memoryview(array.reshape(-1).view("u1")) if array.size else memoryview(b"")


def _fitting(given: Any, wanted: numpy.dtype[Any], inner: tuple[int, ...], where: str) -> Any:
    """Return an array of the wanted dtype that is contiguous and writable, made of what was given.

    Raises:
        BpfTypeError, BpfValueError: something would not be what it was.
    """
    numpy = _dtypes().numpy_module()
    array = numpy.asarray(given)
    shape = (len(array) if array.ndim else 0, *inner, *wanted.shape)
    if not array.ndim or array.shape != shape:
        raise BpfValueError(f"an array of shape {array.shape}, and {shape} is needed", where)
    if array.dtype != wanted.base:
        if wanted.names is not None or array.dtype.names is not None:
            raise BpfTypeError(f"an array of {array.dtype}, and {wanted} is needed", where)
        try:
            with numpy.errstate(all="ignore"):
                made = array.astype(wanted.base)
        except (TypeError, ValueError, OverflowError) as error:
            raise BpfTypeError(f"an array of {array.dtype}, and {wanted} is needed: {error}", where) from None
        # Floats are rounded to single precision, as everywhere; nothing else may change.
        if wanted.base.kind != "f" and not (made == array).all():
            raise BpfValueError(f"values of {array.dtype} that do not fit into {wanted.base}", where)
        array = made
    return numpy.require(array, requirements=["C", "W"])
