"""The binding to ``libbpf.so.1``, through ctypes. The only module that knows libbpf's functions.

Every function gets its argument and result types here, since a wrong one is a crash. Structs of options begin with their
size, and libbpf refuses non-zero bytes beyond what it knows: only the parts of libbpf 1.0 are passed. Source: the headers
``libbpf.h`` and ``bpf.h`` of libbpf 1.0.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

from ..errors import NotSupportedError

_P, _S, _I, _U32, _SIZE, _BOOL = (
    ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_size_t, ctypes.c_bool,
)  # fmt: skip

_NAME = "libbpf.so.1"

# Functions by name: the type of the result, and those of the arguments.
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "bpf_object__open_mem": (_P, [_P, _SIZE, _P]),
    "bpf_object__load": (_I, [_P]),
    "bpf_object__close": (None, [_P]),
    "bpf_object__find_map_by_name": (_P, [_P, _S]),
    "bpf_object__find_program_by_name": (_P, [_P, _S]),
    "bpf_object__next_map": (_P, [_P, _P]),
    "bpf_object__next_program": (_P, [_P, _P]),
    "bpf_map__fd": (_I, [_P]),
    "bpf_map_lookup_elem": (_I, [_I, _P, _P]),
    "bpf_map_update_elem": (_I, [_I, _P, _P, ctypes.c_uint64]),
    "bpf_map_delete_elem": (_I, [_I, _P]),
    "bpf_map__type": (_I, [_P]),
    "bpf_map__key_size": (_U32, [_P]),
    "bpf_map__value_size": (_U32, [_P]),
    "bpf_map__max_entries": (_U32, [_P]),
    "bpf_map__map_flags": (_U32, [_P]),
    "bpf_map__map_extra": (ctypes.c_uint64, [_P]),
    "bpf_map__numa_node": (_U32, [_P]),
    "bpf_map__set_autocreate": (_I, [_P, _BOOL]),
    "bpf_map__set_type": (_I, [_P, _I]),
    "bpf_map__set_max_entries": (_I, [_P, _U32]),
    "bpf_map__set_map_flags": (_I, [_P, _U32]),
    "bpf_map__set_map_extra": (_I, [_P, ctypes.c_uint64]),
    "bpf_map__set_numa_node": (_I, [_P, _U32]),
    "bpf_map__set_key_size": (_I, [_P, _U32]),
    "bpf_map__set_value_size": (_I, [_P, _U32]),
    "bpf_map__set_initial_value": (_I, [_P, _P, _SIZE]),
    "bpf_program__name": (_S, [_P]),
    "bpf_program__fd": (_I, [_P]),
    "bpf_program__set_autoload": (_I, [_P, _BOOL]),
    "bpf_program__set_log_level": (_I, [_P, _U32]),
    "bpf_program__attach": (_P, [_P]),
    "bpf_link__fd": (_I, [_P]),
    "bpf_link__destroy": (_I, [_P]),
    "bpf_link__detach": (_I, [_P]),
    "bpf_link__pin": (_I, [_P, _S]),
    "bpf_link_create": (_I, [_I, _I, _I, _P]),
    "bpf_link_detach": (_I, [_I]),
    "bpf_link_update": (_I, [_I, _I, _P]),
    "bpf_prog_test_run_opts": (_I, [_I, _P]),
    "ring_buffer__new": (_P, [_I, _P, _P, _P]),
    "ring_buffer__consume": (_I, [_P]),
    "ring_buffer__free": (None, [_P]),
    "perf_buffer__new": (_P, [_I, _SIZE, _P, _P, _P, _P]),
    "perf_buffer__consume": (_I, [_P]),
    "perf_buffer__epoll_fd": (_I, [_P]),
    "perf_buffer__free": (None, [_P]),
    "libbpf_set_print": (_P, [_P]),
    "libbpf_major_version": (_U32, []),
    "libbpf_minor_version": (_U32, []),
}


class OpenOpts(ctypes.Structure):
    """``struct bpf_object_open_opts``, as far as libbpf 1.0 has it."""

    _fields_ = (
        ("sz", _SIZE),
        ("object_name", _S),
        ("relaxed_maps", _BOOL),
        ("pin_root_path", _S),
        ("reserved", _U32),  # a bitfield without a name where attach_prog_fd was
        ("kconfig", _S),
        ("btf_custom_path", _S),
        ("kernel_log_buf", _P),
        ("kernel_log_size", _SIZE),
        ("kernel_log_level", _U32),
    )


class TestRunOpts(ctypes.Structure):
    """``struct bpf_test_run_opts``."""

    _fields_ = (
        ("sz", _SIZE),
        ("data_in", _P),
        ("data_out", _P),
        ("data_size_in", _U32),
        ("data_size_out", _U32),
        ("ctx_in", _P),
        ("ctx_out", _P),
        ("ctx_size_in", _U32),
        ("ctx_size_out", _U32),
        ("retval", _U32),
        ("repeat", _I),
        ("duration", _U32),
        ("flags", _U32),
        ("cpu", _U32),
        ("batch_size", _U32),
    )


class LinkCreateOpts(ctypes.Structure):
    """``struct bpf_link_create_opts``, its head: all that links without options of their own need."""

    _fields_ = (
        ("sz", _SIZE),
        ("flags", _U32),
        ("iter_info", _P),
        ("iter_info_len", _U32),
        ("target_btf_id", _U32),
    )


RingCallback = ctypes.CFUNCTYPE(_I, _P, _P, _SIZE)
PerfCallback = ctypes.CFUNCTYPE(None, _P, _I, _P, _U32)
LostCallback = ctypes.CFUNCTYPE(None, _P, _I, ctypes.c_uint64)
_PrintFunction = ctypes.CFUNCTYPE(_I, _I, _P, _P)
_lock = threading.RLock()  # a signal handler or the collector may close something while the library is looked up
_library: ctypes.CDLL | None = None
_holding: ctypes.PyDLL | None = None
_listening = threading.local()
_keep: list[Any] = []


def library() -> ctypes.CDLL:
    """Return libbpf, loaded once.

    Raises:
        NotSupportedError: it is not installed, or older than 1.0; the message says what to install.
    """
    global _library
    if _library is not None:
        return _library
    with _lock:
        if _library is None:
            try:
                found = ctypes.CDLL(_NAME, use_errno=True)
            except OSError as error:
                raise NotSupportedError(
                    f"libbpf 1.0 or newer is not installed ({error}); install it: apt install libbpf1, "
                    "dnf install libbpf, or apk add libbpf"
                ) from None
            try:
                for name, (result, arguments) in _FUNCTIONS.items():
                    function = getattr(found, name)
                    function.restype, function.argtypes = result, arguments
            except AttributeError as error:
                raise NotSupportedError(
                    f"this libbpf is older than libbpf 1.0 ({error}); upgrade it: apt install libbpf1, "
                    "dnf upgrade libbpf, or apk add libbpf"
                ) from None
            _hear(found)
            _library = found
    return _library


@cache
def quick(name: str) -> Any:
    """Return a function that cannot wait and therefore keeps the GIL, for arguments that are prepared as ctypes objects.

    It has no argument types, whose conversions would take a fifth of the time of a map lookup: whoever calls it passes
    objects of just the right types. The result is an int.
    """
    global _holding
    library()
    if _holding is None:
        _holding = ctypes.PyDLL(_NAME)
    return _holding[name]


def optional(name: str, result: Any, arguments: list[Any], since: str) -> Any:
    """Return a function that not every libbpf of version 1 has.

    Raises:
        NotSupportedError: this one has it not; the message says which version has.
    """
    try:
        function = getattr(library(), name)
    except AttributeError:
        major, minor = version()
        raise NotSupportedError(f"this takes libbpf {since}, and this is libbpf {major}.{minor}") from None
    function.restype, function.argtypes = result, arguments
    return function


def version() -> tuple[int, int]:
    """Return the version of the libbpf in use, as (major, minor)."""
    found = library()
    return found.libbpf_major_version(), found.libbpf_minor_version()


@contextlib.contextmanager
def messages(level: int) -> Iterator[list[str]]:
    """Collect what libbpf says in this thread, instead of having it printed.

    Levels are libbpf's: 0 warnings, 1 information, 2 all.
    """
    collected: list[str] = []
    before = getattr(_listening, "now", None)
    _listening.now = (level, collected)
    try:
        yield collected
    finally:
        _listening.now = before


def _hear(found: ctypes.CDLL) -> None:
    """Put a printer into libbpf that collects for threads inside `messages`, and else passes on to the one before."""
    libc = ctypes.CDLL(None)
    # libc formats into memory of its own making, so that a log of any length comes through whole.
    libc.vasprintf.argtypes = [ctypes.POINTER(_P), _P, _P]
    libc.vasprintf.restype = _I
    libc.free.argtypes = [_P]
    libc.free.restype = None
    previous: Any = None

    def printer(level: int, format: int, arguments: int) -> int:
        now = getattr(_listening, "now", None)
        if now is None:
            return int(previous(level, format, arguments)) if previous else 0
        if level > now[0]:
            return 0
        text = _P()
        length = libc.vasprintf(ctypes.byref(text), format, arguments)
        if length < 0 or not text.value:
            return 0
        try:
            now[1].append(ctypes.string_at(text.value, length).decode("utf-8", "replace"))
        finally:
            libc.free(text)
        return int(length)

    callback = _PrintFunction(printer)
    _keep.append(callback)  # libbpf calls it as long as the process lives
    address = found.libbpf_set_print(ctypes.cast(callback, _P))
    previous = _PrintFunction(address) if address else None
