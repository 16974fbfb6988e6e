"""The scalar value types: ``u32``, ``s64``, ``boolean``, ``f64``, ``pointer``.

Each is an ``Annotated`` alias, so that a static checker sees the Python type of the values and the runtime keeps the
C type.
"""

from __future__ import annotations

from typing import Annotated


class Scalar:
    """The C type behind a scalar alias: what `bpfmodel.types.lowering` turns into BTF."""

    __slots__ = ("kind", "name", "signed", "size")

    def __init__(self, name: str, kind: str, size: int, signed: bool = False) -> None:
        self.name = name
        self.kind = kind
        self.size = size
        self.signed = signed

    def __repr__(self) -> str:
        return self.name


class Align:
    """Raises the alignment of a struct member: ``Annotated[u32, Align(16)]``, in bytes, a power of two."""

    __slots__ = ("bytes",)

    def __init__(self, bytes: int) -> None:
        self.bytes = bytes

    def __repr__(self) -> str:
        return f"Align({self.bytes})"


u8 = Annotated[int, Scalar("u8", "int", 1)]
"""``__u8``: an int from 0 to 255."""
u16 = Annotated[int, Scalar("u16", "int", 2)]
"""``__u16``: an int from 0 to 2**16 - 1."""
u32 = Annotated[int, Scalar("u32", "int", 4)]
"""``__u32``: an int from 0 to 2**32 - 1."""
u64 = Annotated[int, Scalar("u64", "int", 8)]
"""``__u64``: an int from 0 to 2**64 - 1."""
u128 = Annotated[int, Scalar("u128", "int", 16)]
"""``unsigned __int128``: an int from 0 to 2**128 - 1."""
s8 = Annotated[int, Scalar("s8", "int", 1, True)]
"""``__s8``, and a single ``char``: an int from -128 to 127."""
s16 = Annotated[int, Scalar("s16", "int", 2, True)]
"""``__s16``: an int from -2**15 to 2**15 - 1."""
s32 = Annotated[int, Scalar("s32", "int", 4, True)]
"""``__s32``: an int from -2**31 to 2**31 - 1."""
s64 = Annotated[int, Scalar("s64", "int", 8, True)]
"""``__s64``: an int from -2**63 to 2**63 - 1."""
s128 = Annotated[int, Scalar("s128", "int", 16, True)]
"""``__int128``: an int from -2**127 to 2**127 - 1."""
boolean = Annotated[bool, Scalar("bool", "bool", 1)]
"""C's ``bool``; plain ``bool`` means the same."""
f32 = Annotated[float, Scalar("f32", "float", 4)]
"""``float``: values are rounded to single precision."""
f64 = Annotated[float, Scalar("f64", "float", 8)]
"""``double``."""
pointer = Annotated[int, Scalar("pointer", "pointer", 8)]
"""A pointer to anything, as the int of its address: 8 bytes on the BPF machine."""
