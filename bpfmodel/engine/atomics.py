"""Atomic operations on 4 and 8 bytes of mapped memory, by a compiled extension or by libatomic.

The extension is ``atomicshm`` (MIT; the extra ``bpfmodel[atomics]``), libatomic comes with gcc and is on most systems. Python
alone has none: what looks like ``x += 1`` loses updates that a program makes in between.

All operations work on unsigned numbers, are sequentially consistent, and return what was there before.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, Protocol

from ..errors import NotSupportedError

_SEQ_CST = 5  # __ATOMIC_SEQ_CST of gcc's atomic builtins


class Cell(Protocol):
    """One number in memory."""

    def load(self) -> int:
        """Return it."""
        ...

    def store(self, value: int, /) -> None:
        """Replace it."""
        ...

    def exchange(self, value: int, /) -> int:
        """Replace it."""
        ...

    def cas(self, expected: int, desired: int, /) -> int:
        """Replace it if it is as expected."""
        ...

    def fetch_add(self, value: int, /) -> int:
        """Add to it, wrapping."""
        ...

    def fetch_sub(self, value: int, /) -> int:
        """Subtract from it, wrapping."""
        ...

    def fetch_and(self, value: int, /) -> int:
        """Keep the bits that `value` has."""
        ...

    def fetch_or(self, value: int, /) -> int:
        """Set the bits that `value` has."""
        ...

    def fetch_xor(self, value: int, /) -> int:
        """Flip the bits that `value` has."""
        ...


def cell(window: memoryview) -> Cell:
    """Make the cell of a writable view of 4 or 8 aligned bytes, which it holds on to.

    Raises:
        NotSupportedError: neither backend is there; or the bytes are too many, read-only or not aligned, and no atomic
            operation exists.
    """
    size = window.nbytes
    if size not in (4, 8) or window.readonly:
        raise NotSupportedError(f"{size} {'read-only ' * window.readonly}bytes have no atomic operations")
    if ctypes.addressof(ctypes.c_char.from_buffer(window)) % size:
        raise NotSupportedError(f"{size} bytes that do not lie at a multiple of {size} have no atomic operations")
    for make in BACKENDS.values():
        found = make(window)
        if found is not None:
            return found
    raise NotSupportedError(
        "atomic operations take the extension atomicshm (pip install 'bpfmodel[atomics]') or libatomic.so.1 "
        "(apt install libatomic1); neither is here"
    )


def _by_atomicshm(window: memoryview) -> Cell | None:
    try:
        from atomicshm import AtomicView  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    # The view is never closed nor given away: it goes with the cell, and the bytes stay where they are until then.
    view = AtomicView(window)
    made: Cell = view.cell_u32(0) if window.nbytes == 4 else view.cell_u64(0)
    return made


class _LibatomicCell:
    """A cell through libatomic's functions, which hold the GIL: none of them can wait."""

    def __init__(self, library: ctypes.PyDLL, window: memoryview) -> None:
        size = window.nbytes
        number: Any = ctypes.c_uint32 if size == 4 else ctypes.c_uint64
        self._number = number
        held = (ctypes.c_char * size).from_buffer(window)
        at = ctypes.c_void_p(ctypes.addressof(held))

        def bound(name: str, *arguments: Any, result: Any = number) -> Callable[..., Any]:
            # An object of its own for each cell: as an attribute, all cells would share its types.
            function: Any = library[f"__atomic_{name}_{size}"]
            function.restype, function.argtypes = result, [ctypes.c_void_p, *arguments, ctypes.c_int]
            # The buffer is held by the call itself: another thread may drop the cell while it runs.
            return lambda *values, _held=held: function(at, *values, _SEQ_CST)

        self.load = bound("load")
        self.store = bound("store", number, result=None)
        self.exchange = bound("exchange", number)
        self.fetch_add = bound("fetch_add", number)
        self.fetch_sub = bound("fetch_sub", number)
        self.fetch_and = bound("fetch_and", number)
        self.fetch_or = bound("fetch_or", number)
        self.fetch_xor = bound("fetch_xor", number)
        pointer = ctypes.POINTER(number)
        self._compare = bound("compare_exchange", pointer, number, ctypes.c_int, result=ctypes.c_bool)

    def cas(self, expected: int, desired: int, /) -> int:
        """Replace the number if it is as expected; return what was there."""
        wanted = self._number(expected)
        self._compare(ctypes.byref(wanted), desired, _SEQ_CST)
        return int(wanted.value)


_libatomic: ctypes.PyDLL | None = None


def _by_libatomic(window: memoryview) -> Cell | None:
    global _libatomic
    if _libatomic is None:
        try:
            _libatomic = ctypes.PyDLL("libatomic.so.1")
        except OSError:
            return None
    return _LibatomicCell(_libatomic, window)


BACKENDS: dict[str, Callable[[memoryview], Cell | None]] = {"atomicshm": _by_atomicshm, "libatomic": _by_libatomic}
"""The backends by name, in the order they are tried; each makes a cell, or nothing where it is not installed."""
