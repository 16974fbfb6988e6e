"""What a loaded object holds besides its handles."""

from __future__ import annotations

import contextlib
from weakref import WeakSet

from ..engine.base import LoadedObject
from ..errors import Unique
from ..handles.link import Link
from ..handles.maps import AnyMap
from ..handles.section import Section

STATE = "__bpf_state__"
"""Where an instance keeps its `State`: a name that no C object has."""


class State(Unique):
    """What a loaded object holds besides its handles; shared by its parts."""

    __slots__ = ("closed", "links", "loaded", "maps", "sections")

    def __init__(self, loaded: LoadedObject) -> None:
        self.loaded = loaded
        self.sections: dict[str, Section] = {}
        self.maps: list[AnyMap] = []
        self.links: WeakSet[Link] = WeakSet()
        self.closed = False

    def section(self, name: str) -> Section:
        """Return a data section, mapped at its first variable."""
        if name not in self.sections:
            self.sections[name] = Section(self.loaded.maps[name], self.loaded)
        return self.sections[name]

    def undo(self) -> None:
        """Close, after a failure, and take back what the load would leave behind."""
        self.loaded.unpin()
        self.close()

    def close(self) -> None:
        """Close links, sections and the object, the rest also where one fails."""
        self.closed = True
        with contextlib.ExitStack() as stack:
            stack.callback(self.loaded.close)
            for section in self.sections.values():
                stack.callback(section.close)
            for held in self.maps:
                stack.callback(held._close)
            for link in list(self.links):
                stack.callback(link.close)
