"""Live references into structs, unions and arrays: ``var.ref().inner.counters[3]`` reads and writes just those bytes.

A reference has the members of its struct as attributes, or the elements of its array by index. Numbers, texts and bytes
are read and stored in place; a struct, union or array inside is again a reference. What type a member has is settled once
a type: for each struct a class is made, with a property a member. A number is read by one index into a typed window, which
the reference makes at its first use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

from ..btf import kinds
from ..btf.kinds import strip
from ..btf.layout import size_of
from ..btf.parse import ByteOrder
from ..btf.render import c_name
from ..engine.base import closed
from ..errors import BpfTypeError, BpfValueError, NotSupportedError, ReadOnlyError, Unique
from ..types.bitfields import Bitfield
from ..types.codec import codec_for
from ..types.compiled import named_members
from ..types.composite import promoted
from ..types.sequences import array_form
from ..types.source import compiled
from .section import Section


class Reference(Unique):
    """What all references share: the bytes they stand for, and the section that says when those are gone."""

    __slots__ = ("_bpf_label", "_bpf_section", "_bpf_view")
    _bpf_label: str
    _bpf_section: Section
    _bpf_view: memoryview

    def __init__(self, view: memoryview, section: Section, label: str) -> None:
        self._bpf_view = view
        self._bpf_section = section
        self._bpf_label = label


def is_inside(type: kinds.Type) -> bool:
    """Tell whether a reference into values of this type has anything to refer to: members or elements."""
    bare = strip(type)
    return isinstance(bare, kinds.Composite) or (isinstance(bare, kinds.Array) and array_form(bare) is list)


def refer(type: kinds.Type, order: ByteOrder, view: memoryview, section: Section, label: str) -> Any:
    """Make the reference to a value of this type in `view`, which has just its bytes; `label` leads to it in messages.

    Raises:
        NotSupportedError: the value has nothing inside.
    """
    bare = strip(type)
    if isinstance(bare, kinds.Composite):
        key = f"reference {order}"
        if key not in bare.codecs:
            bare.codecs[key] = _composite_class(bare, order)
        return bare.codecs[key](view, section, label)
    if isinstance(bare, kinds.Array) and array_form(bare) is list:
        return ArrayReference(bare, order, view, section, label)
    raise NotSupportedError(f"{label} is {c_name(type)}, which has nothing inside to refer to: use get and set")


class _Number(NamedTuple):
    """A member that is a plain number of this machine's byte order."""

    name: str
    offset: int
    size: int
    format: str
    encode: Callable[[Any], bytes]


class CompositeReference(Reference):
    """A live struct or union: its members are attributes, and it has no others."""

    # No __setattr__ that would say so in better words: it would make storing three times as slow.
    __slots__ = ("_bpf_inner",)
    _bpf_inner: dict[str, Reference]
    _bpf_members: tuple[str, ...] = ()
    _bpf_numbers: tuple[_Number, ...] = ()
    _bpf_windows: tuple[Any, ...] = ()
    """The slots of the windows, one for each number."""

    def __init__(self, view: memoryview, section: Section, label: str) -> None:
        super().__init__(view, section, label)
        self._bpf_inner = {}

    def _bpf_look(self, n: int) -> memoryview:
        """Make the window of the n-th number."""
        number = self._bpf_numbers[n]
        try:
            view = self._bpf_view[number.offset : number.offset + number.size]
            window: memoryview = view.cast(number.format)  # type: ignore[call-overload]  # any letter of struct
        except ValueError:  # the view was taken back
            raise closed(self._bpf_label) from None
        self._bpf_section.lend(window, self._bpf_label)
        self._bpf_windows[n].__set__(self, window)
        return window

    def _bpf_put(self, n: int, value: Any) -> None:
        """Store the n-th number the long way, which says what is wrong with it; the next time there is a window."""
        number = self._bpf_numbers[n]
        _store(self, number.offset, number.encode, value, f"{self._bpf_label}.{number.name}")
        self._bpf_look(n)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._bpf_members)
        return f"<live {self._bpf_label}: {inside}>"


class ArrayReference(Reference):
    """A live array: its elements are read and stored by index, and its length never changes."""

    __slots__ = ("_bpf_codec", "_bpf_inside", "_bpf_length", "_bpf_numbers", "_bpf_order", "_bpf_stride", "_bpf_type")

    def __init__(self, type: kinds.Array, order: ByteOrder, view: memoryview, section: Section, label: str) -> None:
        super().__init__(view, section, label)
        self._bpf_type = type.element
        self._bpf_order: ByteOrder = order
        self._bpf_length = type.length
        self._bpf_stride = size_of(type.element)
        self._bpf_inside = is_inside(type.element)
        self._bpf_codec = codec_for(type.element, order)
        self._bpf_numbers: Any = ()  # typed elements, where these are plain numbers
        if self._bpf_codec.format and type.length:
            self._bpf_numbers = view.cast(self._bpf_codec.format)  # type: ignore[call-overload]
            section.lend(self._bpf_numbers, label)

    def __len__(self) -> int:
        return int(self._bpf_length)

    def __iter__(self) -> Iterator[Any]:
        for index in range(self._bpf_length):
            yield self[index]

    def __getitem__(self, index: int) -> Any:
        if index.__class__ is int:  # no slice, which would give a window away
            try:
                return self._bpf_numbers[index]
            except (IndexError, ValueError):
                pass  # no numbers, or no such one, or closed: found out below
        at, label = self._place(index)
        if self._bpf_inside:
            view = self._bpf_view[at : at + self._bpf_stride]
            return refer(self._bpf_type, self._bpf_order, view, self._bpf_section, label)
        return self._bpf_codec.decode(self._bpf_view, at)

    def __setitem__(self, index: int, value: Any) -> None:
        if index.__class__ is int:
            try:
                self._bpf_numbers[index] = value
                return
            except (IndexError, ValueError, TypeError):
                pass  # the long way says what is wrong
        at, label = self._place(index)
        _store(self, at, self._bpf_codec.encode, value, label)

    def _place(self, index: int) -> tuple[int, str]:
        if self._bpf_section.closed:
            raise closed(self._bpf_label)
        if not hasattr(index, "__index__"):
            raise BpfTypeError(f"{index!r} is no index", self._bpf_label)
        number = index.__index__()
        if not -self._bpf_length <= number < self._bpf_length:
            raise IndexError(f"{self._bpf_label} has {self._bpf_length} elements, and no index {number}")
        number %= self._bpf_length
        return number * self._bpf_stride, f"{self._bpf_label}[{number}]"

    def __repr__(self) -> str:
        return f"<live {self._bpf_label}: [{', '.join(map(repr, self))}]>"


def _store(reference: Any, at: int, encode: Any, value: Any, label: str) -> None:
    """Store a value in place, whole or not at all."""
    try:
        raw = encode(value)
    except BpfValueError as error:
        raise error.within(label) from None
    _open_to_write(reference, label)
    reference._bpf_view[at : at + len(raw)] = raw


def _open_to_write(reference: Any, label: str) -> None:
    if reference._bpf_section.closed:
        raise closed(reference._bpf_label)
    if reference._bpf_view.readonly:
        raise ReadOnlyError(f"{label} lies in a section of constants, which is frozen")


def _composite_class(type: kinds.Composite, order: ByteOrder) -> Any:
    """Make the class of references to one struct or union."""
    members, numbers = named_members(type), list[_Number]()
    lent = promoted(type) if type.python is not None else {}
    body: dict[str, Any] = {name: _lent(holder, name) for name, holder in lent.items()}
    for name, member, offset, bits in members:
        codec = codec_for(member, order)
        if bits:
            body[name] = _bitfield(name, Bitfield.at(member, offset, bits, order))
        elif codec.format:
            body[name] = _number(len(numbers))
            numbers.append(_Number(name, offset // 8, codec.size, codec.format, codec.encode))
        else:
            body[name] = _member(name, member, offset // 8, order)
    windows = tuple(f"_bpf_{n}" for n in range(len(numbers)))
    body |= {"__slots__": windows, "_bpf_members": tuple(name for name, *_ in members)}
    body["_bpf_numbers"] = tuple(numbers)
    made = _class(f"Reference to {c_name(type)}", (CompositeReference,), body)
    made._bpf_windows = tuple(  # type: ignore[attr-defined]  # it is a CompositeReference
        getattr(made, window) for window in windows
    )
    return made


def _lent(holder: str, name: str) -> property:
    """Make the property through which a member of an anonymous member is reached, as in C."""

    def put(self: Any, value: Any) -> None:
        setattr(getattr(self, holder), name, value)

    return property(lambda self: getattr(getattr(self, holder), name), put)


_class = type  # `type` is a parameter above

_NUMBER = """\
def make():
    def get(self):
        try:
            return self._bpf_{n}[0]
        except (AttributeError, ValueError):  # no window yet, or closed
            return self._bpf_look({n})[0]

    def put(self, value):
        try:
            self._bpf_{n}[0] = value
        except (AttributeError, ValueError, TypeError):
            self._bpf_put({n}, value)

    return property(get, put)
"""


@cache
def _number(n: int) -> property:
    """Make the property of the n-th number. Its source is generated, since only a slot's own name is looked up quickly."""
    made: property = compiled(_NUMBER.format(n=n), "make", {}, f"number {n} of a reference")()
    return made


def _member(name: str, type: kinds.Type, offset: int, order: ByteOrder) -> property:
    size = size_of(type)
    encode = codec_for(type, order).encode

    def put(self: Any, value: Any) -> None:
        _store(self, offset, encode, value, f"{self._bpf_label}.{name}")

    if is_inside(type):

        def refer_to(self: Any) -> Any:
            if self._bpf_section.closed:
                raise closed(self._bpf_label)
            found = self._bpf_inner.get(name)
            if found is None:
                view = self._bpf_view[offset : offset + size]
                found = refer(type, order, view, self._bpf_section, f"{self._bpf_label}.{name}")
                self._bpf_inner[name] = found
            return found

        return property(refer_to, put)
    decode = codec_for(type, order).decode

    def get(self: Any) -> Any:
        if self._bpf_section.closed:
            raise closed(self._bpf_label)
        return decode(self._bpf_view, offset)

    return property(get, put)


def _bitfield(name: str, field: Bitfield) -> property:
    """Make the property of a bitfield. Storing is no atomic operation, as it is none in C: the bits beside it in its
    bytes are read and stored again."""

    def get(self: Any) -> Any:
        if self._bpf_section.closed:
            raise closed(self._bpf_label)
        return field.get(self._bpf_view, 0)

    def put(self: Any, value: Any) -> None:
        _open_to_write(self, f"{self._bpf_label}.{name}")
        try:
            field.put(self._bpf_view, 0, value)
        except BpfValueError as error:
            raise error.within(f"{self._bpf_label}.{name}") from None

    return property(get, put)
