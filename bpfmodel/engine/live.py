"""Programs and links that live in the kernel."""

from __future__ import annotations

import ctypes
import errno
import os
from contextlib import AbstractContextManager
from typing import Any

from ..errors import AttachError, KernelError, NotSupportedError, RunError, errno_text
from ..spec.specs import ProgramSpec
from ..spec.uapi import AttachType, ProgType, type_name
from . import libbpf, syscall
from .base import LoadedLink, LoadedProgram, RunResult, closed

Lock = AbstractContextManager[Any]

_ROOM = 1 << 16
"""Bytes a program may add to a packet: more than any frame has."""


class KernelProgram(LoadedProgram):
    """A program in the kernel."""

    def __init__(self, name: str, handle: int, fd: syscall.Fd, lock: Lock, spec: ProgramSpec) -> None:
        self.name = name
        self.handle = handle
        self._fd: syscall.Fd | None = fd
        self.lock = lock
        self.spec = spec

    def open_fd(self) -> syscall.Fd:
        """Return the descriptor, or raise ClosedError."""
        if self._fd is None:
            raise closed(self.name)
        return self._fd

    def run(self, data: bytes, ctx: bytes, repeat: int) -> RunResult:  # noqa: D102
        fd = self.open_fd()
        if not 1 <= repeat < 1 << 31:
            raise RunError(f"{self.name}: repeat is {repeat}, and runs from 1 to 2147483647", errno.EINVAL)
        data_in, ctx_in = ctypes.create_string_buffer(data, len(data)), ctypes.create_string_buffer(ctx, len(ctx))
        data_out = ctypes.create_string_buffer(len(data) + _ROOM if data else 1)
        ctx_out = ctypes.create_string_buffer(max(len(ctx), 1))
        # One run is what the kernel does for 0 as well, and the only thing it accepts for some types.
        opts = libbpf.TestRunOpts(sz=ctypes.sizeof(libbpf.TestRunOpts), repeat=0 if repeat == 1 else repeat)
        if data:
            opts.data_in, opts.data_size_in = ctypes.addressof(data_in), len(data)
            opts.data_out, opts.data_size_out = ctypes.addressof(data_out), len(data_out)
        if ctx:
            opts.ctx_in, opts.ctx_size_in = ctypes.addressof(ctx_in), len(ctx)
            if self.spec.type not in _CTX_STAYS_IN:
                opts.ctx_out, opts.ctx_size_out = ctypes.addressof(ctx_out), len(ctx)
        result = libbpf.library().bpf_prog_test_run_opts(fd.number, ctypes.byref(opts))
        if result < 0:
            raise self._run_error(-result, data, ctx)
        return RunResult(
            opts.retval,
            data_out.raw[: min(opts.data_size_out, len(data_out))] if data else b"",
            ctx_out.raw[: min(opts.ctx_size_out, len(ctx))] if opts.ctx_out else ctx_in.raw,
            opts.duration,
            repeat,
        )

    def _run_error(self, number: int, data: bytes, ctx: bytes) -> KernelError | NotSupportedError:
        kind = type_name(self.spec.type)
        if number in (errno.EOPNOTSUPP, 524):
            return NotSupportedError(
                f"{self.name}: this kernel cannot run programs of type {kind} on demand; attach it"
            )
        hint = ""
        if number == errno.EINVAL and self.spec.type in _WITH_PACKET and len(data) < 14:
            hint = f"; a packet has an Ethernet header of 14 bytes at least, and {len(data)} were given"
        elif number == errno.EINVAL and data and self.spec.type not in _WITH_PACKET:
            hint = f"; programs of type {kind} take ctx=, and no packet"
        elif number == errno.EINVAL and ctx:
            hint = f"; the context of {len(ctx)} bytes may be what it refuses"
        return RunError(f"{self.name} cannot be run: {errno_text(number)}{hint}", number)

    def attach(self) -> LoadedLink:  # noqa: D102
        with self.lock, libbpf.messages(0) as said:
            self.open_fd()
            link = libbpf.library().bpf_program__attach(self.handle)
            number = ctypes.get_errno()
        if link:
            return KernelLink(link, self.name, self.lock)
        if number in (errno.EOPNOTSUPP, errno.ESRCH):
            way = (
                'use attach_xdp("eth0")'
                if self.spec.type == ProgType.XDP
                else "libbpf attaches none of this kind by itself"
            )
            raise AttachError(
                f"{self.name}: its section {self.spec.section} does not say where to attach; {way}", number
            )
        reason = "; ".join(line.removeprefix("libbpf: ").strip() for line in "".join(said).splitlines()[:2])
        raise AttachError(
            f"{self.name} cannot be attached to {self.spec.section}: {errno_text(number)}{'; ' + reason if reason else ''}",
            number,
        )

    def attach_xdp(self, interface: int, flags: int) -> LoadedLink:  # noqa: D102
        fd = self.open_fd()
        opts = libbpf.LinkCreateOpts(sz=ctypes.sizeof(libbpf.LinkCreateOpts), flags=flags)
        number = libbpf.library().bpf_link_create(fd.number, interface, AttachType.XDP, ctypes.byref(opts))
        if number < 0:
            reasons = {
                errno.ENODEV: "there is no such interface",
                errno.EBUSY: "another XDP program is attached there; detach it first",
                errno.EOPNOTSUPP: 'its driver has no native XDP; attach with mode="generic"',
                errno.EINVAL: "there is no such interface, or it refuses this program or mode; XDP links need Linux 5.9",
            }
            reason = reasons.get(-number, "")
            raise AttachError(
                f"{self.name} cannot be attached to interface {interface}: {errno_text(number)}"
                f"{'; ' + reason if reason else ''}",
                -number,
            )
        return KernelFdLink(syscall.Fd(number), self.name)

    def fileno(self) -> int:  # noqa: D102
        return self.open_fd().number

    def close(self) -> None:
        """Let go of the descriptor."""
        self._fd = None


_WITH_PACKET = {
    ProgType.XDP, ProgType.SCHED_CLS, ProgType.SCHED_ACT, ProgType.SOCKET_FILTER, ProgType.CGROUP_SKB,
    ProgType.LWT_IN, ProgType.LWT_OUT, ProgType.LWT_XMIT, ProgType.SK_SKB, ProgType.FLOW_DISSECTOR,
}  # fmt: skip
# These take a context and have no place to give it back; syscall programs write into the one they were given.
_CTX_STAYS_IN = {ProgType.RAW_TRACEPOINT, ProgType.TRACING, ProgType.FLOW_DISSECTOR, ProgType.SYSCALL}


class KernelLink(LoadedLink):
    """An attachment that libbpf made."""

    def __init__(self, handle: int, name: str, lock: Lock) -> None:
        self._handle: int | None = handle
        self._name = name
        self._lock = lock

    def _open(self) -> int:
        if self._handle is None:
            raise closed(f"the link of {self._name}")
        return self._handle

    def close(self) -> None:  # noqa: D102
        with self._lock:
            if self._handle is not None:
                libbpf.library().bpf_link__destroy(self._handle)
                self._handle = None

    def detach(self) -> None:  # noqa: D102
        with self._lock:
            result = libbpf.library().bpf_link__detach(self._open())
        _linked(result, self._name, "detached")

    def pin(self, path: str) -> None:  # noqa: D102
        with self._lock, libbpf.messages(0):
            result = libbpf.library().bpf_link__pin(self._open(), os.fsencode(path))
        _linked(result, self._name, f"pinned to {path}")

    def update(self, program: LoadedProgram) -> None:  # noqa: D102
        fd, lib = _of_kernel(program).open_fd(), libbpf.library()
        with self._lock:
            # By descriptor, as libbpf does it too: a pointer to the other program could be closed under our feet.
            result = lib.bpf_link_update(lib.bpf_link__fd(self._open()), fd.number, None)
        _linked(result, self._name, f"replaced by {program.name}")


class KernelFdLink(LoadedLink):
    """An attachment that is one descriptor."""

    def __init__(self, fd: syscall.Fd, name: str) -> None:
        self._fd: syscall.Fd | None = fd
        self._name = name

    def _open(self) -> syscall.Fd:
        if self._fd is None:
            raise closed(f"the link of {self._name}")
        return self._fd

    def close(self) -> None:  # noqa: D102
        self._fd = None

    def detach(self) -> None:  # noqa: D102
        fd = self._open()  # held until the call is over
        _linked(libbpf.library().bpf_link_detach(fd.number), self._name, "detached")

    def pin(self, path: str) -> None:  # noqa: D102
        try:
            syscall.pin(self._open(), path)
        except OSError as error:
            _linked(-(error.errno or 0), self._name, f"pinned to {path}")

    def update(self, program: LoadedProgram) -> None:  # noqa: D102
        new, fd = _of_kernel(program).open_fd(), self._open()
        _linked(
            libbpf.library().bpf_link_update(fd.number, new.number, None), self._name, f"replaced by {program.name}"
        )


def _of_kernel(program: LoadedProgram) -> KernelProgram:
    if not isinstance(program, KernelProgram):
        raise NotSupportedError(f"{program.name} is not in the kernel, and cannot take the place of a program that is")
    return program


def _linked(result: int, name: str, what: str) -> None:
    if result < 0:
        hint = "; give a path on bpffs, such as /sys/fs/bpf/name" if "pinned" in what else ""
        if what == "detached" and -result == errno.EOPNOTSUPP:
            hint = "; links of this kind end when they are closed"
        raise AttachError(f"the link of {name} cannot be {what}: {errno_text(result)}{hint}", -result)
