"""The system call bpf(2), and the file descriptors it hands out.

Source: ``union bpf_attr`` in the kernel's ``include/uapi/linux/bpf.h``. Every buffer given to the kernel is made here, and
as large as the kernel's own figures for the map demand.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import struct
import sys
from enum import IntEnum
from functools import cache
from typing import Any, NamedTuple

from ..errors import KernelError, NotSupportedError, PrivilegeError, Unique, errno_text
from .refusals import NEEDED

# __NR_bpf; the architectures with the common table of system calls share one number.
_NUMBERS = {
    "x86_64": 321, "aarch64": 280, "riscv64": 280, "loongarch64": 280, "s390x": 351, "ppc64le": 361, "ppc64": 361,
}  # fmt: skip


class Command(IntEnum):
    """What bpf(2) can be told (``enum bpf_cmd``), as far as it is used here."""

    MAP_CREATE = 0
    LOOKUP = 1
    UPDATE = 2
    DELETE = 3
    NEXT_KEY = 4
    OBJ_PIN = 6
    MAP_GET_FD_BY_ID = 14
    OBJ_GET_INFO = 15
    TAKE = 21
    LOOKUP_BATCH = 24
    TAKE_BATCH = 25
    UPDATE_BATCH = 26
    DELETE_BATCH = 27


PERCPU_KINDS = {5, 6, 10, 21}  # PERCPU_HASH, PERCPU_ARRAY, LRU_PERCPU_HASH, PERCPU_CGROUP_STORAGE


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


def bpf(command: int, attr: bytes | bytearray) -> int:
    """Call bpf(2) and return its result; a bytearray takes what the kernel writes back into its attributes.

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
    size = len(attr)
    shared = isinstance(attr, bytearray)
    buffer = (ctypes.c_char * size).from_buffer(attr) if shared else ctypes.create_string_buffer(bytes(attr), size)
    result = _libc.syscall(_number, command, buffer, size)
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
        os.close(bpf(Command.MAP_CREATE, struct.pack("=IIIII", 2, 4, 4, 1, 0)))
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
        if self.type in PERCPU_KINDS:
            return (self.value_size + 7) // 8 * 8 * possible_cpus()
        return self.value_size


def map_info(fd: Fd) -> MapInfo:
    """Ask the kernel for the true figures of a map."""
    info = ctypes.create_string_buffer(128)
    try:
        bpf(Command.OBJ_GET_INFO, struct.pack("=IIQ", fd.number, len(info), ctypes.addressof(info)))
    except OSError as error:
        raise KernelError(f"the kernel says nothing of a map: {errno_text(error.errno or 0)}", error.errno) from None
    return MapInfo(*struct.unpack_from("=IIIIII", info.raw))


@cache
def possible_cpus() -> int:
    """Return how many CPUs this machine could ever have online; per-CPU values have a slot for each."""
    with open("/sys/devices/system/cpu/possible") as file:
        last = file.read().strip().rpartition(",")[2].rpartition("-")[2]
    return int(last) + 1


def element(
    command: Command,
    fd: Fd,
    info: MapInfo,
    key: bytes | None,
    other: ctypes.Array[ctypes.c_char] | None,
    flags: int = 0,
) -> int:
    """Do one operation on one element; `other` is the buffer of the value, or of the next key. Return 0 or the errno."""
    key_buffer = None if key is None else ctypes.create_string_buffer(key, info.key_size)
    key_at = 0 if key_buffer is None else ctypes.addressof(key_buffer)
    other_at = 0 if other is None else ctypes.addressof(other)
    try:
        bpf(command, struct.pack("=IIQQQ", fd.number, 0, key_at, other_at, flags))
    except OSError as error:
        return error.errno or errno.EINVAL
    return 0


def batch(
    command: Command, fd: Fd, cursor: tuple[int, int], keys: int, values: int, count: int, flags: int = 0
) -> tuple[int, int]:
    """Do one operation on many elements; `cursor` is where to begin and where to put the place to go on from.

    Addresses are those of buffers that the caller made large enough. Returns the errno, or 0, and how many were done.
    """
    attr = bytearray(struct.pack("=QQQQIIQQ", *cursor, keys, values, count, fd.number, flags, 0))
    try:
        bpf(command, attr)
    except OSError as error:
        return error.errno or errno.EINVAL, int(struct.unpack_from("=I", attr, 32)[0])
    return 0, int(struct.unpack_from("=I", attr, 32)[0])


def map_create(name: str, like: MapInfo) -> Fd:
    """Create a map of these figures.

    Raises:
        OSError: as the kernel answers.
    """
    figures = struct.pack("=IIIIIII", like.type, like.key_size, like.value_size, like.max_entries, like.flags, 0, 0)
    return Fd(bpf(Command.MAP_CREATE, figures + name.encode()[:15].ljust(16, b"\0")))


def map_by_id(number: int) -> Fd:
    """Open a map by the number the kernel knows it by.

    Raises:
        OSError: as the kernel answers.
    """
    return Fd(bpf(Command.MAP_GET_FD_BY_ID, struct.pack("=III", number, 0, 0)))


def pin(fd: Fd, path: str) -> None:
    """Pin what a descriptor stands for to a file on bpffs.

    Raises:
        OSError: as the kernel answers.
    """
    name = ctypes.create_string_buffer(os.fsencode(path))
    bpf(Command.OBJ_PIN, struct.pack("=QII", ctypes.addressof(name), fd.number, 0))


def mapped(fd: Fd, length: int, protection: int, offset: int = 0) -> mmap.mmap:
    """Map the memory of a map into this process.

    Raises:
        OSError: as the kernel answers.
    """
    # From 3.13 on, mmap would keep a descriptor of its own.
    options: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
    return mmap.mmap(fd.number, length, flags=mmap.MAP_SHARED, prot=protection, offset=offset, **options)
