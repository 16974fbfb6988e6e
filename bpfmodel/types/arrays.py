"""The type aliases: ``Array[u32, L[4]]``, ``CString[L[13]]``, ``Bytes[L[6]]``, ``Bits[u8, L[3]]``, ``Atomic[u64]``.

They are type aliases with a length that only the runtime reads, so a static checker sees ``list[int]``, ``str``,
``bytes`` and ``int``. ``L`` is ``typing.Literal``.
"""

from __future__ import annotations

import sys
from typing import TypeVar

if sys.version_info >= (3, 12):
    from typing import TypeAliasType
else:  # as slow to import as half of pydantic, so this module is imported by whom it is needed by, and no sooner
    from typing_extensions import TypeAliasType

E = TypeVar("E")
N = TypeVar("N")

Array = TypeAliasType("Array", list[E], type_params=(E, N))
"""``T name[n]``: a list of exactly n values of one type; arrays nest."""

CString = TypeAliasType("CString", str, type_params=(N,))
"""``char name[n]``: the text up to the first NUL, UTF-8 with surrogateescape; shorter values are padded with NULs."""

Bytes = TypeAliasType("Bytes", bytes, type_params=(N,))
"""An array of n one-byte integers, as exactly n bytes."""

Anonymous = TypeAliasType("Anonymous", E, type_params=(E,))
"""An anonymous struct or union inside a struct: ``in_: Anonymous[Inner]``; its members are reached as in C, too."""

Atomic = TypeAliasType("Atomic", E, type_params=(E,))
"""An integer of 4 or 8 bytes that is changed by atomic operations: ``hits: Atomic[u64]``. It is the same to C; that it has
the right width and lies where atomic operations reach it is then settled when the class is made and checked."""

Bits = TypeAliasType("Bits", E, type_params=(E, N))
"""A bitfield of n bits in a type of a struct: ``flags: Bits[u8, L[3]]``."""
