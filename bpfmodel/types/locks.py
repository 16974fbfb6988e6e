"""Structs of the kernel that stand in the values of maps."""

from __future__ import annotations

from .scalars import u32
from .struct import Struct


class SpinLock(Struct, name="bpf_spin_lock"):
    """``struct bpf_spin_lock`` as a member of a map's value; it is the kernel's, and reads as 0."""

    val: u32 = 0
