"""The engine that is the kernel: libbpf opens, relocates and loads; from then on there are file descriptors.

::

    open ── switch off what is not wanted ── resize ── rewrite sections ── load ── copies of the descriptors
      └──────────────── any failure: bpf_object__close, nothing is left ────┘

libbpf's object stays open as long as ours, since it holds what its links and program arrays need. Map and program handles
use copies of its descriptors, each closed when its last user lets go.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
import threading
from collections.abc import Set

from ..errors import (
    BpfModelError,
    BpfTypeError,
    BpfValueError,
    LoadError,
    NotSupportedError,
    PrivilegeError,
    errno_text,
    shown,
)
from ..spec.collection import CollectionSpec
from ..spec.specs import MapSpec
from ..spec.uapi import MapFlag, MapType
from . import libbpf, syscall
from .base import Engine, LoadedObject, LoadOptions
from .diagnosis import load_error, verifier_logs
from .live import KernelProgram
from .livemap import KernelMap

_PIN_BY_NAME = 1
_STREAMS = (MapType.RINGBUF, MapType.USER_RINGBUF)


class KernelEngine(Engine):
    """Loads objects into the running kernel, through libbpf."""

    name = "kernel"

    def load(self, spec: CollectionSpec, maps: Set[str], programs: Set[str], options: LoadOptions) -> KernelObject:
        """Load these maps and programs, all or nothing."""
        if sys.platform != "linux":
            raise NotSupportedError(
                f"BPF programs run in a Linux kernel, and this is {sys.platform}; use MemoryEngine()"
            )
        if spec.byte_order != sys.byteorder:
            target = "bpfel" if sys.byteorder == "little" else "bpfeb"
            raise LoadError(
                f"{spec.name} is {spec.byte_order}-endian, and this machine is {sys.byteorder}-endian; "
                f"compile it with -target {target}",
                errno.EINVAL,
            )
        pinned = [name for name in maps if name in spec.maps and spec.maps[name].pinning == _PIN_BY_NAME]
        if pinned and options.pin_path is None:
            raise LoadError(
                f"{spec.name}: map {sorted(pinned)[0]} asks to be pinned by name, and no place was given; "
                'load with options=LoadOptions(pin_path="/sys/fs/bpf/…")',
                errno.EINVAL,
            )
        _check_options(options)
        if options.btf_path is not None and not os.path.exists(options.btf_path):
            raise LoadError(f"{spec.name}: btf_path names no file: {options.btf_path}", errno.ENOENT)
        for name in maps & spec.maps.keys():
            spec.maps[name].check()
        return KernelObject(spec, maps, programs, options)


class KernelObject(LoadedObject):
    """An object in the kernel."""

    def __init__(self, spec: CollectionSpec, maps: Set[str], programs: Set[str], options: LoadOptions) -> None:
        self.maps, self.programs = {}, {}
        self._handle: int | None = None
        self._new_pins: list[str] = []
        self._lock = threading.RLock()  # libbpf's object is not safe for two threads at once
        self._lib = libbpf.library()
        self._spec = spec
        # What libbpf keeps pointers to while it opens and loads.
        self._kept = _OpenArguments(spec, options)
        with libbpf.messages(2 if options.log_level else 0) as said:
            try:
                self._open(said)
                self._choose_programs(programs, options)
                self._choose_maps(maps)
                to_pin = _pins_to_be(spec, maps, options)
                self._load(said)
                self._new_pins = to_pin  # only now are they ours: a load that fails takes its own back
                self._take_over(maps, programs)
            except BaseException:
                self.unpin()
                self.close()
                raise
        if options.log_level:
            for name, log in verifier_logs("".join(said)).items():
                if name in self.programs:
                    self.programs[name].log = log

    def _open(self, said: list[str]) -> None:
        kept = self._kept
        handle = self._lib.bpf_object__open_mem(kept.image, len(kept.source), ctypes.byref(kept.opts))
        if not handle:
            raise load_error(self._spec, "cannot be opened", ctypes.get_errno(), said)
        self._handle = handle

    def _choose_programs(self, wanted: Set[str], options: LoadOptions) -> None:
        lib, program = self._lib, None
        while program := lib.bpf_object__next_program(self._handle, program):
            name = lib.bpf_program__name(program).decode()
            lib.bpf_program__set_autoload(program, name in wanted)
            if options.log_level and name in wanted:
                lib.bpf_program__set_log_level(program, options.log_level)

    def _choose_maps(self, wanted: Set[str]) -> None:
        lib, handles, current = self._lib, {}, None
        for name in wanted:
            if found := lib.bpf_object__find_map_by_name(self._handle, name.encode()):
                handles[found] = name
        while current := lib.bpf_object__next_map(self._handle, current):
            lib.bpf_map__set_autocreate(current, current in handles)
            if current not in handles and lib.bpf_map__type(current) == MapType.PROG_ARRAY:
                # libbpf fills a program array whether it was created or not; an array of nothing it leaves alone.
                lib.bpf_map__set_type(current, MapType.ARRAY)
        for handle, name in handles.items():
            if name in self._spec.maps:
                self._shape(handle, self._spec.maps[name])
                self._fill(handle, name)

    def _shape(self, handle: int, spec: MapSpec) -> None:
        """Pass on what the user changed in a map's plan."""
        lib = self._lib
        for attribute in _PLANNED:
            value = getattr(spec, attribute)
            if value == getattr(lib, f"bpf_map__{_PLANNED[attribute]}")(handle):
                continue
            if spec.is_data and attribute != "flags":
                # libbpf before 1.3 would report success and leave the mapping as it was.
                raise NotSupportedError(f"{spec.name}: the {attribute} of a data section cannot be changed")
            result = getattr(lib, f"bpf_map__set_{_PLANNED[attribute]}")(handle, value)
            self._done(result, f"{spec.name}.{attribute} cannot be set to {value}")
        if spec.type in _STREAMS:
            # A ring declared with the type of its events keeps that type's size in libbpf, and the kernel refuses it.
            self._done(lib.bpf_map__set_key_size(handle, 0), f"{spec.name}: cannot clear its key size")
            self._done(lib.bpf_map__set_value_size(handle, 0), f"{spec.name}: cannot clear its value size")

    def _fill(self, handle: int, name: str) -> None:
        image = self._spec.image_of(name)
        if image is not None:
            result = self._lib.bpf_map__set_initial_value(handle, image, len(image))
            self._done(result, f"{name}: its initial values cannot be set")

    def _done(self, result: int, failure: str) -> None:
        if result < 0:
            raise LoadError(f"{self._spec.name}: {failure}: {errno_text(result)}", -result)

    def _load(self, said: list[str]) -> None:
        result = self._lib.bpf_object__load(self._handle)
        if result < 0:
            if -result in (errno.EPERM, errno.EACCES):
                _explain_privilege()
            raise load_error(self._spec, "cannot be loaded", -result, said)

    def _take_over(self, maps: Set[str], programs: Set[str]) -> None:
        lib = self._lib
        try:
            for name in maps:
                handle = lib.bpf_object__find_map_by_name(self._handle, name.encode())
                number = lib.bpf_map__fd(handle) if handle else -1
                if number >= 0:
                    spec = self._spec.maps.get(name)
                    constant = bool(spec and spec.constant)
                    self.maps[name] = KernelMap(name, syscall.Fd.copy_of(number), constant, _template(spec))
                elif name in self._spec.maps:
                    raise NotSupportedError(
                        f"{self._spec.name}: libbpf did not create {name}; global data takes Linux 5.2 or newer"
                    )
            for name in programs:
                handle = lib.bpf_object__find_program_by_name(self._handle, name.encode())
                number = lib.bpf_program__fd(handle) if handle else -1
                if number < 0:
                    raise LoadError(f"{self._spec.name}: libbpf does not know a program {name}", errno.ENOENT)
                self.programs[name] = KernelProgram(
                    name, handle, syscall.Fd.copy_of(number), self._lock, self._spec.programs[name]
                )
        except BpfModelError:
            raise
        except OSError as error:
            raise LoadError(
                f"{self._spec.name}: no descriptor for a map or program: {errno_text(error.errno or 0)}", error.errno
            ) from None

    def unpin(self) -> None:
        """Remove the pins that this load made."""
        for path in self._new_pins:
            with contextlib.suppress(OSError):
                os.unlink(path)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Close everything this object has open; may be called again."""
        with self._lock:
            for program in self.programs.values():
                assert isinstance(program, KernelProgram)
                program.close()
            for held in self.maps.values():
                held.close()
            if self._handle is not None:
                self._lib.bpf_object__close(self._handle)
                self._handle = None


# What may be changed in the plan of a map, and libbpf's name for it.
_PLANNED = {
    "type": "type",
    "key_size": "key_size",
    "value_size": "value_size",
    "max_entries": "max_entries",
    "flags": "map_flags",
    "extra": "map_extra",
    "numa_node": "numa_node",
}


def _template(spec: MapSpec | None) -> syscall.MapInfo | None:
    """Return what the maps in a map of maps look like."""
    inner = spec.inner if spec is not None else None
    if inner is None:
        return None
    return syscall.MapInfo(
        int(inner.type), 0, inner.key_size, inner.value_size, inner.max_entries, inner.flags & ~MapFlag.NUMA_NODE
    )


def _check_options(options: LoadOptions) -> None:
    """Refuse options that ctypes would cut or stumble over."""
    if not isinstance(options.log_level, int) or not 0 <= options.log_level <= 7:
        raise BpfValueError(f"{shown(options.log_level)} is no log level: 0, 1 or 2", "LoadOptions.log_level")
    for name in ("btf_path", "kconfig", "pin_path"):
        value = getattr(options, name)
        if value is not None and (not isinstance(value, str) or "\0" in value):
            raise BpfTypeError(f"{shown(value)} is no text without NULs", f"LoadOptions.{name}")


def _pins_to_be(spec: CollectionSpec, maps: Set[str], options: LoadOptions) -> list[str]:
    """List the pins that a load makes: those of maps pinned by name, where there is none yet."""
    if options.pin_path is None:
        return []
    named = [name for name in maps if name in spec.maps and spec.maps[name].pinning == _PIN_BY_NAME]
    paths = [os.path.join(options.pin_path, name) for name in named]
    return [path for path in paths if not os.path.lexists(path)]


class _OpenArguments:
    """The options and bytes that libbpf holds pointers to until the object is loaded."""

    def __init__(self, spec: CollectionSpec, options: LoadOptions) -> None:
        self.source = spec.source
        self.image = ctypes.cast(ctypes.c_char_p(self.source), ctypes.c_void_p)
        self.opts = libbpf.OpenOpts(
            sz=ctypes.sizeof(libbpf.OpenOpts),
            # The kernel shows the first 15 characters in the names of data sections' maps.
            object_name=spec.name.removesuffix(".o").removesuffix(".bpf").encode("utf-8", "replace")[:63] or b"object",
            kconfig=options.kconfig.encode() if options.kconfig is not None else None,
            btf_custom_path=os.fsencode(options.btf_path) if options.btf_path is not None else None,
            pin_root_path=os.fsencode(options.pin_path) if options.pin_path is not None else None,
        )


def _explain_privilege() -> None:
    """Raise PrivilegeError if the kernel's no is about this process and not about the object."""
    try:
        syscall.probe()
    except PrivilegeError:
        raise
    except NotSupportedError:
        pass
