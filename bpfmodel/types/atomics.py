"""What `Atomic[T]` promises: the integer has a width and a place that atomic operations exist for."""

from __future__ import annotations

from collections.abc import Iterator

from ..btf import kinds
from ..btf.layout import size_of
from ..btf.render import describe
from ..errors import DeclarationError

_TAG = "bpfmodel:atomic"


def atomic(type: kinds.Type) -> kinds.Type:
    """Mark a type as one that is changed by atomic operations; the mark is transparent, as tags in BTF are.

    Raises:
        DeclarationError: it is no integer of 4 or 8 bytes.
    """
    if not has_atomics(type):
        raise DeclarationError(f"Atomic takes integers of 4 or 8 bytes, and not {describe(type)}")
    return kinds.TypeTag(_TAG, type)


def has_atomics(type: kinds.Type) -> bool:
    """Tell whether atomic operations exist for values of this type."""
    bare = kinds.strip(type)
    return isinstance(bare, kinds.Int) and not bare.is_bool and bare.size in (4, 8)


def misaligned(type: kinds.Type, offset: int, path: str = "") -> Iterator[tuple[str, int, int]]:
    """List what is marked and would not be aligned if a value began `offset` bytes into something aligned.

    Each is (path inside the value, where it would lie, its size); of an array's elements, just the first that is off.
    """
    if isinstance(type, kinds.TypeTag) and type.name == _TAG:
        if offset % size_of(type):
            yield path, offset, size_of(type)
    elif isinstance(type, kinds.Modifier):
        yield from misaligned(type.target, offset, path)
    elif isinstance(type, kinds.Array):
        stride = size_of(type.element)
        # Places repeat themselves every 8 elements, since nothing asks for more than 8 bytes.
        for index in range(min(type.length, 8)):
            found = list(misaligned(type.element, offset + index * stride, f"{path}[{index}]"))
            if found:
                yield from found
                return
    elif isinstance(type, kinds.Composite):
        for member in type.members:
            yield from misaligned(member.type, offset + member.offset // 8, f"{path}.{member.attribute}")
