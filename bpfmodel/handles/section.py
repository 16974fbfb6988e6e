"""A data section that was loaded: what the variables in it read and write through."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from weakref import WeakValueDictionary

from ..engine.base import LoadedMap, LoadedObject, closed
from ..errors import KernelError, ReadOnlyError

_ONLY_KEY = bytes(4)


class Section:
    """The live bytes of a data section, or the way to copies of them where they cannot be mapped."""

    __slots__ = ("_closers", "_given", "_lent", "_lock", "_map", "_owner", "closed", "name", "view")

    def __init__(self, loaded: LoadedMap, owner: LoadedObject) -> None:
        self.name = loaded.name
        self.view = loaded.memory()
        self.closed = False
        self._map = loaded
        self._owner = owner  # lives as long as anything of it is held
        self._lock = threading.Lock()
        self._given: list[memoryview] = []
        self._lent: WeakValueDictionary[int, memoryview] = WeakValueDictionary()  # by id(): views have no hash
        self._closers: list[Callable[[], None]] = []

    def window(self, offset: int, size: int, format: str) -> memoryview:
        """Return a view of some bytes that close() will take back. The section must be mapped."""
        assert self.view is not None
        window = self.view[offset : offset + size]
        if len(window) != size:
            raise KernelError(f"{self.name} has {len(self.view)} bytes, and bytes up to {offset + size} were asked for")
        if format:
            window = window.cast(format)  # type: ignore[call-overload]  # any letter of struct, known only here
        self._given.append(window)
        return window

    def lend(self, window: memoryview, label: str) -> None:
        """Have close() take back a view of this section, unless its holder has dropped it before.

        Raises:
            ClosedError: the section is closed; `label` says what of it was asked for.
        """
        self._lent[id(window)] = window
        if self.closed:  # looked at last: another thread may close while the window is made
            window.release()
            raise closed(label)

    def before_close(self, closer: Callable[[], None]) -> None:
        """Have close() call what lets go of a window, before it takes the windows back."""
        self._closers.append(closer)

    def read(self) -> bytes:
        """Return a copy of all bytes, through the map."""
        found = self._map.lookup(_ONLY_KEY)
        if found is None:
            raise KernelError(f"{self.name} has no contents")
        return found

    def write(self, offset: int, raw: bytes) -> None:
        """Replace some bytes, through the map, which stores the whole section.

        What a program writes to the other variables of the section between the reading and the storing is lost; only
        a mapped section is free of that.
        """
        with self._lock:
            whole = bytearray(self.read())
            if offset + len(raw) > len(whole):
                raise KernelError(f"{self.name} has {len(whole)} bytes, and bytes up to {offset + len(raw)} were given")
            whole[offset : offset + len(raw)] = raw
            try:
                self._map.update(_ONLY_KEY, bytes(whole))
            except KernelError as error:
                if error.errno == 1:
                    raise ReadOnlyError(f"{self.name} is read-only") from error
                raise

    def close(self) -> None:
        """Take back every view. One that user code still exports keeps the memory, not the handle, alive."""
        self.closed = True
        for closer in self._closers:
            closer()
        for window in [*self._lent.values(), *self._given, self.view]:
            if window is not None:
                with contextlib.suppress(BufferError):
                    window.release()
        self._given.clear()
