"""Says which engines can serve here, and picks the kernel's as the default. Never falls back from one to the other."""

from __future__ import annotations

import sys

from .base import Engine


def available() -> dict[str, str]:
    """Return the engines by name with the reason why one cannot serve; an empty reason means it can."""
    return {"kernel": _kernel_reason(), "memory": ""}


def default() -> Engine:
    """Return the kernel's engine, which is what ``engine=None`` means."""
    from .kernel import KernelEngine

    return KernelEngine()


def _kernel_reason() -> str:
    if sys.platform != "linux":
        return f"BPF programs run in a Linux kernel, and this is {sys.platform}"
    from ..errors import BpfModelError
    from . import libbpf, syscall

    try:
        libbpf.library()
        syscall.probe()
    except BpfModelError as error:
        return str(error)
    return ""
