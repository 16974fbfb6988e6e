"""What all kinds of maps share, and the quick way to one element.

An operation on one element takes a slot (buffers, and the operations on them) off a list, and puts it back when it is done.
So no two threads ever share one, nothing is allocated, and numbers are stored and read by one index into a typed view. Which
of the ways a key and a value take is settled once a map: the methods that have to be quick are generated for it, as
`bpfmodel.types.source` explains.
"""

from __future__ import annotations

import contextlib
import errno
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, TypeVar

from ..btf import kinds
from ..btf.parse import ByteOrder
from ..engine.base import LoadedMap, LoadedObject, closed
from ..errors import BpfValueError, NotSupportedError, Unique

if TYPE_CHECKING:
    from ..types.base import Codec  # codecs are not needed to declare a map

NOEXIST, EXIST, LOCK = 1, 2, 4  # BPF_NOEXIST, BPF_EXIST, BPF_F_LOCK of linux/bpf.h

M = TypeVar("M", bound="AnyMap")


class Shape(NamedTuple):
    """What a map holds: the types that keys and values are packed by, and what is known of the maps in a map of maps."""

    key: kinds.Type
    value: kinds.Type
    order: ByteOrder
    inner: tuple[type[AnyMap], Shape] | None = None


class AnyMap(Unique):
    """What all kinds of maps share."""

    __slots__ = (
        "__weakref__",
        "_key",
        "_map",
        "_memory",
        "_owner",
        "_shape",
        "_spare",
        "_value",
        "max_entries",
        "name",
    )

    map_type: ClassVar[str] = ""
    """The name of the kernel's map type that this class stands for; empty where it stands for any."""
    parameters: ClassVar[tuple[str, ...]] = ("key", "value")
    """What its type arguments say: key, value, event, inner."""
    access: ClassVar[Literal["", "mapping", "array"]] = ""
    """Which of the quick methods it has: those of a mapping, those of a sequence, or none."""
    plain_keys: ClassVar[bool] = True
    """Whether keys are what the user gives, where they are numbers."""

    name: str
    """The C name."""
    max_entries: int
    """How many entries there is room for; of a ring, how many bytes."""

    def __init__(self, loaded: LoadedMap, shape: Shape, owner: LoadedObject) -> None:
        self.name, self.max_entries = loaded.name, loaded.max_entries
        self._map, self._shape = loaded, shape
        self._owner = owner  # lives as long as anything of it is held
        self._key, self._value = _codec(shape.key, shape.order), _codec(shape.value, shape.order)
        if loaded.cpus:
            from .percpu import per_cpu_codec

            self._value = per_cpu_codec(self._value, loaded.cpus, shape.order)
        self._spare: list[Any] = []
        self._memory: memoryview | None = None

    def fileno(self) -> int:
        """Return the map's file descriptor, which stays the object's own.

        Raises:
            ClosedError: the object was closed.
            NotSupportedError: the engine has no descriptors.
        """
        return self._map.fileno()

    def _close(self) -> None:
        """Let go of what the handle itself holds; the map is closed with its object."""
        if self._memory is not None:
            with contextlib.suppress(BufferError):  # still looked at, which keeps the memory and not the handle
                self._memory.release()

    def _mapped(self, hint: str = "") -> memoryview:
        """Return the map's bytes, mapped at the first use."""
        if self._map.closed:
            raise closed(self.name)
        if self._memory is None:
            self._memory = self._map.memory()
        if self._memory is None:
            raise NotSupportedError(f"{self.name} cannot be mapped into this process{hint}")
        return self._memory

    def _slot(self) -> tuple[Any, ...]:
        """Make what an operation takes off the list: views of key and value, typed if they are numbers, and operations."""
        key, value, *operations = self._map.slot()
        plain = self._key.format and self.plain_keys
        keys: Any = key.cast(self._key.format) if plain else key  # type: ignore[call-overload]
        values: Any = value.cast(self._value.format) if self._value.format else value  # type: ignore[call-overload]
        return keys, values, *operations

    def _pack_key(self, key: Any) -> bytes:
        try:
            return self._key.encode(key)
        except BpfValueError as error:
            raise error.within("key").within(self.name) from None

    def _pack_value(self, value: Any) -> bytes:
        try:
            return self._value.encode(value)
        except BpfValueError as error:
            raise error.within("value").within(self.name) from None

    def _missing(self, key: Any, number: int) -> Exception:
        """Make the error for a lookup that failed."""
        return KeyError(key) if number == -errno.ENOENT else self._map.failure("read", number)

    def _place(self, key: Any) -> Any:
        """Return the key that stands for what the user gave."""
        return key

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


_ACCESS = """\
def __getitem__(self, key):
    {place_or_slice}
    {take_slot}
    keys, values, lookup, _, _ = slot
    {put_key}
    failed = lookup()
    if failed:
        self._spare.append(slot)
        raise self._missing(key, failed)
    found = {value}
    self._spare.append(slot)
    return found

def get(self, key, default=None):
    {take_slot}
    keys, values, lookup, _, _ = slot
    {put_key}
    failed = lookup()
    if failed:
        self._spare.append(slot)
        if failed == {enoent}:
            return default
        raise self._missing(key, failed)
    found = {value}
    self._spare.append(slot)
    return found

def __contains__(self, key):
    {take_slot}
    keys, values, lookup, _, _ = slot
    {put_key}
    failed = lookup()
    self._spare.append(slot)
    if failed and failed != {enoent}:
        raise self._missing(key, failed)
    return not failed

def __setitem__(self, key, value):
    {place}
    {take_slot}
    keys, values, _, update, _ = slot
    {put_key}
    {put_value}
    failed = update()
    self._spare.append(slot)
    if failed:
        raise self._map.failure("store", failed)

def __delitem__(self, key):
    {take_slot}
    keys, _, _, _, delete = slot
    {put_key}
    failed = delete()
    self._spare.append(slot)
    if failed:
        raise KeyError(key) if failed == {enoent} else self._map.failure("delete", failed)
"""

_TAKE_SLOT = """\
try:
        slot = self._spare.pop()
    except IndexError:
        slot = self._slot()"""
# A slot that an error interrupts is not put back: it is dropped, and the next operation makes another.
_PUT_NUMBER = """\
try:
        {views}[0] = {what}
    except (ValueError, TypeError):
        {views}.cast("B")[:] = self._pack_{what}({what})"""
_PUT = "{views}[:] = self._pack_{what}({what})"
_PLACE = """\
if key.__class__ is not int or not 0 <= key < self.max_entries:
        key = self._place(key)"""
_PLACE_OR_SLICE = """\
if key.__class__ is not int or not 0 <= key < self.max_entries:
        if key.__class__ is slice:
            return [self[at] for at in range(*key.indices(self.max_entries))]
        key = self._place(key)"""

_OF_MAPPINGS = ("__getitem__", "get", "__contains__", "__setitem__", "__delitem__")
_OF_ARRAYS = ("__getitem__", "__setitem__")


@cache
def _tuned(cls: type[AnyMap], indexed: bool, key_is_number: bool, value_is_number: bool) -> type[AnyMap]:
    """Make the class of maps of one kind whose keys and values are, or are not, plain numbers of this machine."""
    from ..types.source import compiled

    parts = {
        "take_slot": _TAKE_SLOT,
        "place": _PLACE if indexed else "",
        "place_or_slice": _PLACE_OR_SLICE if indexed else "",
        "put_key": (_PUT_NUMBER if key_is_number else _PUT).format(views="keys", what="key"),
        "put_value": (_PUT_NUMBER if value_is_number else _PUT).format(views="values", what="value"),
        "value": "values[0]" if value_is_number else "self._value.decode(values, 0)",
        "enoent": -errno.ENOENT,
    }
    names = _OF_ARRAYS if indexed else _OF_MAPPINGS
    source = f"{_ACCESS.format(**parts)}\ndef access():\n    return {', '.join(names)}\n"
    methods = compiled(source, "access", {}, f"access to a {cls.__name__}")()
    body: dict[str, Any] = {"__slots__": (), "__doc__": cls.__doc__, "__module__": cls.__module__}
    return type(cls.__name__, (cls,), body | dict(zip(names, methods, strict=True)))


def make_map(kind: type[M], loaded: LoadedMap, shape: Shape, owner: LoadedObject) -> M:
    """Make the handle of a map."""
    made: type[AnyMap] = kind
    if kind.access:
        key, value = _codec(shape.key, shape.order).format, _codec(shape.value, shape.order).format
        plain_keys = bool(key) and kind.plain_keys
        numbers = plain_keys, bool(value) and not loaded.cpus
        made = _tuned(made, kind.access == "array", *numbers)  # type: ignore[arg-type]  # a class has a hash
    return made(loaded, shape, owner)  # type: ignore[return-value]  # of a class made of `kind`


def _codec(type: kinds.Type, order: ByteOrder) -> Codec:
    """Make the codec of keys or values; void stands for what the map has none of."""
    from ..types.base import Codec
    from ..types.codec import codec_for

    if isinstance(type, kinds.Void):
        return Codec(0, lambda buffer, offset: None, lambda value: b"")
    return codec_for(type, order)
