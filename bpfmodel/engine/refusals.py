"""Says in words why a map refused: what was tried, the errno, and what it means there."""

from __future__ import annotations

import errno

from ..errors import KernelError, MapError, NotSupportedError, errno_text
from ..spec.uapi import map_type_name

NEEDED = "run as root, or give the process CAP_BPF (with CAP_NET_ADMIN for networking, CAP_PERFMON for tracing)"

UNSUPPORTED = (errno.EOPNOTSUPP, 524)
"""How the kernel says that it does not do this at all; 524 is its own ENOTSUPP."""

_MEANINGS = {
    ("store", errno.E2BIG): "it is full, or has no such index",
    ("store", errno.EEXIST): "the key is there already",
    ("store", errno.ENOENT): "the key is not there",
    ("store", errno.EBUSY): "the element is in use by a program",
    ("delete", errno.EINVAL): "elements of an array stay",
    ("", errno.EPERM): f"it is read-only, or there is no privilege; {NEEDED}",
    ("", errno.EINVAL): "this kind of map does not offer it, or not with these flags or values",
    ("", errno.ENOSPC): "more entries share a bucket than fit into one read",
    ("", errno.EBADF): "the value names no open map, program or file of the right kind",
}


def map_failure(name: str, kind: int, verb: str, number: int) -> KernelError | NotSupportedError:
    """Make the error of an errno, for what `verb` says was tried: read, store, delete, take, iterate."""
    number = abs(number)
    if number in UNSUPPORTED:
        return NotSupportedError(f"{name}: cannot {verb}: maps of type {map_type_name(kind)} do not offer it")
    meaning = _MEANINGS.get((verb, number)) or _MEANINGS.get(("", number), "")
    return MapError(f"{name}: cannot {verb}: {errno_text(number)}{'; ' + meaning if meaning else ''}", number)


def wrong_size(name: str, what: str, wanted: int, given: int) -> MapError:
    """Make the error for bytes that are no key or value of the map."""
    return MapError(f"{name}: a {what} has {wanted} bytes, not {given}", errno.EINVAL)
