"""Where objects live once they are loaded: the kernel, or this process's memory.

Here live the contract of an engine, the two engines, and the bindings to libbpf and bpf(2) that one of them needs.
"""

from .base import Engine, LoadOptions
from .select import available, default

__all__ = ["Engine", "LoadOptions", "available", "default"]
