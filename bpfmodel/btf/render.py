"""Prints types the way C writes them."""

from __future__ import annotations

from . import kinds
from .layout import size_of


def c_name(type: kinds.Type) -> str:
    """Name a type as a C programmer would: ``__u64``, ``char[13]``, ``struct stats``, ``struct sock *``.

    Qualifiers are left out: they say nothing of the value.
    """
    suffix = ""
    while True:
        if isinstance(type, (kinds.Const, kinds.Volatile, kinds.Restrict, kinds.TypeTag)):
            type = type.target
        elif isinstance(type, kinds.Array):
            suffix += f"[{type.length}]"
            type = type.element
        else:
            break
    return _head(type) + suffix


def _head(type: kinds.Type) -> str:
    if isinstance(type, kinds.Ptr):
        return f"{c_name(type.target)} *"
    if isinstance(type, kinds.Composite):
        return f"{type.keyword} {type.name or '(anonymous)'}"
    if isinstance(type, kinds.Enum):
        return f"enum {type.name or '(anonymous)'}"
    if isinstance(type, kinds.Fwd):
        return f"{'union' if type.union else 'struct'} {type.name}"
    if isinstance(type, kinds.FuncProto):
        return "function"  # no parameters: hostile BTF may close a circle through them
    return type.name


def describe(type: kinds.Type) -> str:
    """Name a type with its size: ``__u64 (8 bytes)``; without one where it has none."""
    if isinstance(type, kinds.Loose):
        return type.name
    bare = kinds.strip(type)
    if isinstance(bare, (kinds.Void, kinds.Fwd, kinds.FuncProto, kinds.Func)):
        return c_name(type)
    size = size_of(type)
    return f"{c_name(type)} ({size} byte{'' if size == 1 else 's'})"
