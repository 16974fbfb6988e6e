"""A declarative, typed layer over compiled BPF objects: declare what an object holds, check it, load it, use it.

A path through the source, from the bottom up:

1. `bpfmodel.errors`: all that can go wrong, in one tree.
2. `bpfmodel.btf.kinds`: the type model; `btf.parse` reads it from an object, `btf.compare` compares two of them.
3. `bpfmodel.types.lowering`: what an annotation means in C; `types.codec` turns values into bytes.
4. `bpfmodel.spec.reader`: from the bytes of an object to a `CollectionSpec`.
5. `bpfmodel.engine.base`: what an engine does; `engine.kernel` and `engine.memory` do it.
6. `bpfmodel.handles.variable`: what users hold.
7. `bpfmodel.model.objects`: `BpfObjects`, where it all comes together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import engine
from .engine.base import Engine, LoadOptions, RunResult
from .errors import (
    AttachError,
    BpfModelError,
    BpfTypeError,
    BpfValueError,
    ClosedError,
    ConstantError,
    DeclarationError,
    Finding,
    FoldedConstantWarning,
    KernelError,
    LoadError,
    MapError,
    MismatchError,
    NotSupportedError,
    PrivilegeError,
    ReadOnlyError,
    RunError,
    SourceError,
    UndefinedNameError,
    VerifierError,
)
from .handles.arrays import ArrayMap, PerCpuArrayMap
from .handles.atomic import AtomicInt
from .handles.field import Field
from .handles.kinds import (
    TC,
    XDP,
    CgroupSkb,
    Lsm,
    PerfEvent,
    Probe,
    ProgramKind,
    RawTracepoint,
    SocketFilter,
    Syscall,
    Tracepoint,
    Tracing,
)
from .handles.link import Link
from .handles.mappings import HashMap, LpmTrie, LruHashMap, LruPerCpuHashMap, Map, PerCpuHashMap
from .handles.program import Program
from .handles.variable import Const, Var
from .model.objects import BpfObjects
from .types.options import field
from .types.plain import asdict, replace
from .types.scalars import (
    Align,
    boolean,
    f32,
    f64,
    pointer,
    s8,
    s16,
    s32,
    s64,
    s128,
    u8,
    u16,
    u32,
    u64,
    u128,
)
from .types.struct import Struct

if TYPE_CHECKING:
    from .engine.kernel import KernelEngine
    from .engine.memory import MemoryEngine
    from .handles.holders import ArrayOfMaps, HashOfMaps, ProgArray, StackTrace
    from .handles.percpu import PerCpu
    from .handles.queues import BloomFilter, Queue, Stack
    from .handles.streams import PerfEventArray, Poller, RingBuf, UserRingBuf
    from .model.opened import OpenObjects
    from .spec.collection import CollectionSpec
    from .spec.specs import MapSpec, ProgramSpec, VariableSpec
    from .spec.uapi import AttachType, MapFlag, MapType, ProgType
    from .types.arrays import Anonymous, Array, Atomic, Bits, Bytes, CString
    from .types.locks import SpinLock
    from .types.union import Union

# Found when first asked for: reading and loading are not what every import of the library is for.
_LATE = {
    "Anonymous": "types.arrays",
    "Array": "types.arrays",
    "ArrayOfMaps": "handles.holders",
    "Atomic": "types.arrays",
    "AttachType": "spec.uapi",
    "Bits": "types.arrays",
    "BloomFilter": "handles.queues",
    "Bytes": "types.arrays",
    "CString": "types.arrays",
    "CollectionSpec": "spec.collection",
    "HashOfMaps": "handles.holders",
    "KernelEngine": "engine.kernel",
    "MapFlag": "spec.uapi",
    "MapSpec": "spec.specs",
    "MapType": "spec.uapi",
    "MemoryEngine": "engine.memory",
    "OpenObjects": "model.opened",
    "PerCpu": "handles.percpu",
    "PerfEventArray": "handles.streams",
    "Poller": "handles.streams",
    "ProgArray": "handles.holders",
    "ProgType": "spec.uapi",
    "ProgramSpec": "spec.specs",
    "Queue": "handles.queues",
    "RingBuf": "handles.streams",
    "SpinLock": "types.locks",
    "Stack": "handles.queues",
    "StackTrace": "handles.holders",
    "Union": "types.union",
    "UserRingBuf": "handles.streams",
    "VariableSpec": "spec.specs",
}


def __getattr__(name: str) -> Any:
    module = _LATE.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(f".{module}", __name__), name)
    return found


__all__ = [
    "Align",
    "Anonymous",
    "Array",
    "ArrayMap",
    "ArrayOfMaps",
    "Atomic",
    "AtomicInt",
    "AttachError",
    "AttachType",
    "Bits",
    "BloomFilter",
    "BpfModelError",
    "BpfObjects",
    "BpfTypeError",
    "BpfValueError",
    "Bytes",
    "CString",
    "CgroupSkb",
    "ClosedError",
    "CollectionSpec",
    "Const",
    "ConstantError",
    "DeclarationError",
    "Engine",
    "Field",
    "Finding",
    "FoldedConstantWarning",
    "HashMap",
    "HashOfMaps",
    "KernelEngine",
    "KernelError",
    "Link",
    "LoadError",
    "LoadOptions",
    "LpmTrie",
    "LruHashMap",
    "LruPerCpuHashMap",
    "Lsm",
    "Map",
    "MapError",
    "MapFlag",
    "MapSpec",
    "MapType",
    "MemoryEngine",
    "MismatchError",
    "NotSupportedError",
    "OpenObjects",
    "PerCpu",
    "PerCpuArrayMap",
    "PerCpuHashMap",
    "PerfEvent",
    "PerfEventArray",
    "Poller",
    "PrivilegeError",
    "Probe",
    "ProgArray",
    "ProgType",
    "Program",
    "ProgramKind",
    "ProgramSpec",
    "Queue",
    "RawTracepoint",
    "ReadOnlyError",
    "RingBuf",
    "RunError",
    "RunResult",
    "SocketFilter",
    "SourceError",
    "SpinLock",
    "Stack",
    "StackTrace",
    "Struct",
    "Syscall",
    "TC",
    "Tracepoint",
    "Tracing",
    "UndefinedNameError",
    "Union",
    "UserRingBuf",
    "Var",
    "VariableSpec",
    "VerifierError",
    "XDP",
    "asdict",
    "boolean",
    "engine",
    "f32",
    "f64",
    "field",
    "pointer",
    "replace",
    "s128",
    "s16",
    "s32",
    "s64",
    "s8",
    "u128",
    "u16",
    "u32",
    "u64",
    "u8",
]
