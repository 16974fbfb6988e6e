"""The system call bpf(2), and the file descriptors it hands out.

Source: ``union bpf_attr`` in the kernel's ``include/uapi/linux/bpf.h``. Every buffer given to the kernel is made here, and
as large as the kernel's own figures for the map demand.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from typing import NamedTuple

from ..errors import KernelError, MapError, NotSupportedError, PrivilegeError, Unique, errno_text

# __NR_bpf; the architectures with the common table of system calls share one number.
_NUMBERS = {
    "x86_64": 321, "aarch64": 280, "riscv64": 280, "loongarch64": 280, "s390x": 351, "ppc64le": 361, "ppc64": 361,
}  # fmt: skip
_MAP_CREATE, _LOOKUP, _UPDATE, _DELETE, _NEXT_KEY = range(5)
_OBJ_PIN, _OBJ_GET_INFO = 6, 15

_PERCPU_KINDS = {5, 6, 10, 21}  # PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH, PERCPU_CGROUP_STORAGE

NEEDED = "run as root, or give the process CAP_BPF (with CAP_NET_ADMIN for networking, CAP_PERFMON for tracing)"


class Fd(Unique):
    """A file descriptor that is closed when the last reference to this object goes.

    An operation in flight holds a reference, so that closing a handle in one thread can never make another thread's
    operation hit a stranger's descriptor of the same number.
    """

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    @classmethod
    def copy_of(cls, number: int) -> Fd:
        """Duplicate a descriptor; the copy is not inherited by other programs."""
        import fcntl

        return cls(fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3))

    def __del__(self, close=os.close) -> None:  # type: ignore[no-untyped-def]  # os may be gone when Python exits
        try:
            close(self.number)
        except OSError:
            pass  # someone closed the number behind our back; there is nobody to tell


_libc: ctypes.CDLL | None = None
_number = 0


def bpf(command: int, attr: bytes) -> int:
    """Call bpf(2) and return its result.

    Raises:
        OSError: as the kernel answers. ENOSYS where the architecture's number is not known here.
    """
    global _libc, _number
    if _libc is None:
        _number = _NUMBERS.get(platform.machine(), 0)
        if not _number:
            raise OSError(errno.ENOSYS, f"bpf(2) is not known on {platform.machine()}")
        libc = ctypes.CDLL(None, use_errno=True)
        libc.syscall.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint]
        libc.syscall.restype = ctypes.c_long
        _libc = libc
    # The kernel takes shorter attributes as zero-filled, so each command passes just the part it knows of.
    buffer = ctypes.create_string_buffer(attr, len(attr))
    result = _libc.syscall(_number, command, buffer, len(attr))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)


def probe() -> None:
    """Make sure that this process may use BPF, by making and dropping a tiny map.

    Raises:
        PrivilegeError: it may not; the message says what to do.
        NotSupportedError: the kernel has no bpf(2).
    """
    try:
        os.close(bpf(_MAP_CREATE, struct.pack("=IIIII", 2, 4, 4, 1, 0)))
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES):
            raise PrivilegeError(f"no privilege to use BPF; {NEEDED}", error.errno) from None
        raise NotSupportedError(f"this kernel refuses bpf(2): {errno_text(error.errno or 0)}") from None


class MapInfo(NamedTuple):
    """What the kernel says of a map."""

    type: int
    id: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int

    @property
    def buffer_size(self) -> int:
        """The bytes of a value as they cross to user space: one slot a possible CPU for per-CPU maps."""
        if self.type in _PERCPU_KINDS:
            return (self.value_size + 7) // 8 * 8 * possible_cpus()
        return self.value_size


def map_info(fd: Fd) -> MapInfo:
    """Ask the kernel for the true figures of a map."""
    info = ctypes.create_string_buffer(128)
    try:
        bpf(_OBJ_GET_INFO, struct.pack("=IIQ", fd.number, len(info), ctypes.addressof(info)))
    except OSError as error:
        raise KernelError(f"the kernel says nothing of a map: {errno_text(error.errno or 0)}", error.errno) from None
    return MapInfo(*struct.unpack_from("=IIIIII", info.raw))


def possible_cpus() -> int:
    """Return how many CPUs this machine could ever have online; per-CPU values have a slot for each."""
    with open("/sys/devices/system/cpu/possible") as file:
        last = file.read().strip().rpartition(",")[2].rpartition("-")[2]
    return int(last) + 1


def map_lookup(fd: Fd, info: MapInfo, key: bytes, name: str) -> bytes | None:
    """Return a value's bytes, or None where the map does not hold the key."""
    value = ctypes.create_string_buffer(info.buffer_size)
    return value.raw if _element(_LOOKUP, fd, info, key, value, 0, name) else None


def map_update(fd: Fd, info: MapInfo, key: bytes, value: bytes, flags: int, name: str) -> None:
    """Store a value."""
    if len(value) != info.buffer_size:
        raise MapError(f"{name}: a value has {info.buffer_size} bytes, not {len(value)}", errno.EINVAL)
    buffer = ctypes.create_string_buffer(value, info.buffer_size)
    if not _element(_UPDATE, fd, info, key, buffer, flags, name):
        raise MapError(f"{name}: cannot store: {errno_text(errno.ENOENT)}", errno.ENOENT)


def map_delete(fd: Fd, info: MapInfo, key: bytes, name: str) -> bool:
    """Remove a key; False where the map does not hold it."""
    return _element(_DELETE, fd, info, key, None, 0, name)


def map_next_key(fd: Fd, info: MapInfo, key: bytes | None, name: str) -> bytes | None:
    """Return the key behind this one, the first one for None, None at the end."""
    following = ctypes.create_string_buffer(info.key_size)
    return following.raw if _element(_NEXT_KEY, fd, info, key, following, 0, name) else None


def _element(
    command: int, fd: Fd, info: MapInfo, key: bytes | None, other: ctypes.Array[ctypes.c_char] | None,
    flags: int, name: str,
) -> bool:  # fmt: skip
    if key is not None and len(key) != info.key_size:
        raise MapError(f"{name}: a key has {info.key_size} bytes, not {len(key)}", errno.EINVAL)
    key_buffer = None if key is None else ctypes.create_string_buffer(key, info.key_size)
    key_at = 0 if key_buffer is None else ctypes.addressof(key_buffer)
    other_at = 0 if other is None else ctypes.addressof(other)
    try:
        bpf(command, struct.pack("=IIQQQ", fd.number, 0, key_at, other_at, flags))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return False
        raise _map_error(name, command, error.errno or 0) from None
    return True


def _map_error(name: str, command: int, number: int) -> KernelError:
    verb = {_LOOKUP: "read", _UPDATE: "store", _DELETE: "delete", _NEXT_KEY: "iterate"}[command]
    reasons = {
        errno.E2BIG: "it is full" if command == _UPDATE else "",
        errno.EEXIST: "the key is there already",
        errno.EPERM: f"it is read-only, or there is no privilege; {NEEDED}",
        errno.EINVAL: "this kind of map does not offer it",
        errno.EOPNOTSUPP: "this kind of map does not offer it",
        524: "this kind of map does not offer it",
    }
    reason = reasons.get(number, "")
    return MapError(f"{name}: cannot {verb}: {errno_text(number)}{'; ' + reason if reason else ''}", number)


def pin(fd: Fd, path: str) -> None:
    """Pin what a descriptor stands for to a file on bpffs.

    Raises:
        OSError: as the kernel answers.
    """
    name = ctypes.create_string_buffer(os.fsencode(path))
    bpf(_OBJ_PIN, struct.pack("=QII", ctypes.addressof(name), fd.number, 0))
