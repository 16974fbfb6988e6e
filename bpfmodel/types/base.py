"""What a codec is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..btf import kinds

Buffer = bytes | bytearray | memoryview


class Codec(NamedTuple):
    """How values of one type become bytes and back.

    `decode` trusts its buffer to be long enough, which whoever made the buffer has checked; `encode` trusts nothing, and
    returns bytes only if all of the value fits, so that a write is never half done.
    """

    size: int
    decode: Callable[[Buffer, int], Any]
    encode: Callable[[Any], bytes]
    format: str = ""
    """The letter of `struct` and `memoryview.cast` where the whole value is one plain number of this machine's byte
    order: then ``view.cast(format)[0]`` reads it without any call."""


Make = Callable[[kinds.Type], Codec]
"""Makes the codec of a type inside another one, in the same byte order."""
