"""Links: attachments of programs."""

from __future__ import annotations

import os
import warnings
from types import TracebackType
from typing import TYPE_CHECKING

from ..engine.base import LoadedLink, LoadedObject
from ..errors import BpfTypeError, BpfValueError, ClosedError, Unique

if TYPE_CHECKING:
    from typing import Self


class Link(Unique):
    """An attachment of a program. It lasts until it is closed, or its object is, or nobody holds it any more.

    ``with program.attach() as link: …`` ends it with the block. A pinned link outlives all of them.
    """

    __slots__ = ("__weakref__", "_link", "_owner", "_pinned", "name")

    name: str
    """The C name of the program that was attached."""

    def __init__(self, loaded: LoadedLink, name: str, owner: LoadedObject) -> None:
        self._link: LoadedLink | None = loaded
        self._owner = owner  # an attached program may need the program arrays that only its object holds
        self._pinned = False
        self.name = name

    def detach(self) -> None:
        """End the attachment, also where a pin would keep it.

        Raises:
            AttachError: the kernel refused; links of some kinds can only be closed.
            ClosedError: the link or its object was closed.
        """
        self._open().detach()

    def update(self, program: object) -> None:
        """Swap the attached program for another one, without a gap.

        Args:
            program: a `Program` handle of the same type.

        Raises:
            AttachError: the kernel refused; not every kind of link can do it.
            BpfTypeError: it is no Program.
        """
        loaded = getattr(program, "_program", None)
        if loaded is None:
            raise BpfTypeError(f"{program!r} is no Program")
        self._open().update(loaded)

    def pin(self, path: str | os.PathLike[str]) -> None:
        """Keep the attachment alive by a file on bpffs, beyond this process.

        Raises:
            AttachError: the kernel refused, as it does for a path outside of bpffs.
        """
        if not isinstance(path, (str, os.PathLike)) or "\0" in str(path):
            raise BpfValueError(f"{path!r} is no path", f"{self.name}.pin")
        self._open().pin(os.fspath(path))
        self._pinned = True

    def close(self) -> None:
        """Give the attachment up; may be called again. Unless it is pinned, it ends."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    @property
    def closed(self) -> bool:
        """Whether it was given up."""
        return self._link is None

    def _open(self) -> LoadedLink:
        if self._link is None:
            raise ClosedError(f"the link of {self.name} was closed, by itself or with its object")
        return self._link

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if self._link is not None:
            if not self._pinned:
                warnings.warn(
                    f"the link of {self.name} was dropped, which detaches the program: keep what attach() returns",
                    ResourceWarning,
                    stacklevel=2,
                    source=self,
                )
            self.close()

    def __repr__(self) -> str:
        return f"<Link of {self.name}{' (closed)' if self.closed else ''}>"
