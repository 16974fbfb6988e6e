"""NumPy's view of C types: the dtype that has each member where C has it.

=========================  ==============================================================================
C                          NumPy
=========================  ==============================================================================
integers, enums, pointers  ``u1`` to ``u8``, ``i1`` to ``i8``, in the object's byte order
bool, float                ``?``, ``f2`` ``f4`` ``f8``
char[n]                    ``S<n>``, which leaves out NULs at the end
arrays                     subarrays, of any number of dimensions
struct, union              fields at their true offsets; those of a union overlap
anonymous members          their members, as C reaches them
bitfields                  the bytes they share, as one field that is named for all of them: ``a|b``
128-bit integers           ``V16``: NumPy has no such number
=========================  ==============================================================================
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..btf import kinds
from ..btf.compare import Placed, reachable
from ..btf.kinds import strip
from ..btf.layout import size_of
from ..btf.parse import ByteOrder
from ..errors import NotSupportedError
from .numbers import FLOATS, mark
from .sequences import array_form

if TYPE_CHECKING:
    import numpy


def numpy_module() -> Any:
    """Return NumPy, which is an extra.

    Raises:
        NotSupportedError: it is not installed.
    """
    try:
        import numpy
    except ImportError as error:
        raise NotSupportedError(f"this takes NumPy ({error}): pip install 'bpfmodel[numpy]'") from None
    return numpy


def array_over(view: memoryview, dtype: numpy.dtype[Any], *dimensions: int) -> numpy.ndarray[Any, Any]:
    """Return the array on the bytes of a view: read-only where the view is, and holding on to it.

    The dimensions of a dtype of subarrays come after the given ones.
    """
    # Not numpy.ndarray(buffer=…): it would hold on to what lies under the view, and ask that whether it is read-only.
    shape = (*dimensions, *dtype.shape)
    made: numpy.ndarray[Any, Any] = numpy_module().frombuffer(view, dtype.base, math.prod(shape)).reshape(shape)
    return made


def dtype_of(type: kinds.Type, order: ByteOrder) -> numpy.dtype[Any]:
    """Return the dtype of values of a type; its itemsize is the type's size.

    Raises:
        NotSupportedError: NumPy is not installed.
        SourceError: the type has no size.
    """
    return numpy_module().dtype(_format(type, order))  # type: ignore[no-any-return]


def _format(type: kinds.Type, order: ByteOrder) -> Any:
    """Return what ``numpy.dtype()`` takes."""
    bare, sign = strip(type), mark(order)
    if isinstance(bare, kinds.Composite):
        return _fields(bare, order)
    if isinstance(bare, kinds.Array):
        if array_form(bare) is str:
            return f"S{bare.length}" if bare.length else "V0"
        inner, shape = strip(bare.element), [bare.length]
        while isinstance(inner, kinds.Array) and array_form(inner) is not str:  # NumPy does not merge them by itself
            shape.append(inner.length)
            inner = strip(inner.element)
        return (_format(inner, order), tuple(shape))
    size = size_of(bare)
    if isinstance(bare, kinds.Int) and bare.is_bool and size == 1:
        return "?"
    if isinstance(bare, kinds.Float):
        return f"{sign}f{size}" if size in FLOATS else f"V{size}"
    if size > 8:
        return f"V{size}"
    return f"{sign}{'i' if getattr(bare, 'signed', False) else 'u'}{size}"


def _fields(type: kinds.Composite, order: ByteOrder) -> dict[str, Any]:
    names: list[str] = []
    formats: list[Any] = []
    offsets: list[int] = []
    group: list[Placed] = []

    def flush() -> None:
        first = min(member.offset for member in group) // 8
        size = (max(member.offset + member.bits for member in group) + 7) // 8 - first
        names.append("|".join(member.attribute for member in group))
        formats.append(f"{mark(order)}u{size}" if size in (1, 2, 4, 8) else f"V{size}")
        offsets.append(first)
        group.clear()

    for member in reachable(type):
        if group and (not member.bits or member.offset // 8 > (group[-1].offset + group[-1].bits - 1) // 8):
            flush()
        if member.bits:
            group.append(member)
            continue
        names.append(member.attribute)
        formats.append(_format(member.type, order))
        offsets.append(member.offset // 8)
    if group:
        flush()
    return {"names": names, "formats": formats, "offsets": offsets, "itemsize": type.size}
