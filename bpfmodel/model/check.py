"""Compares declarations with a spec: all findings, and what each field is bound to where there are none."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..btf import kinds
from ..btf.compare import Difference, compare, spell
from ..btf.layout import fitted, size_of
from ..btf.render import describe
from ..errors import Finding
from ..handles.arrays import ArrayMap, PerCpuArrayMap
from ..handles.holders import ArrayOfMaps, HashOfMaps, ProgArray, StackTrace
from ..handles.mappings import HashMap, LpmTrie, LruHashMap, LruPerCpuHashMap, Map, PerCpuHashMap
from ..handles.maps import AnyMap, Shape
from ..handles.queues import BloomFilter, Queue, Stack
from ..handles.streams import PerfEventArray, RingBuf, UserRingBuf
from ..handles.variable import Const
from ..spec.collection import CollectionSpec
from ..spec.specs import MapSpec, ProgramSpec, VariableSpec
from ..spec.uapi import type_name
from ..types.atomics import misaligned
from .declare import Declaration

MAP_KINDS: tuple[type[AnyMap], ...] = (
    HashMap, LruHashMap, ArrayMap, PerCpuHashMap, LruPerCpuHashMap, PerCpuArrayMap, LpmTrie, Queue, Stack, BloomFilter,
    RingBuf, PerfEventArray, UserRingBuf, ProgArray, ArrayOfMaps, HashOfMaps, StackTrace, Map,
)  # fmt: skip
"""The kinds of maps that can be declared."""


@dataclass(frozen=True, slots=True)
class Binding:
    """A field and the object it was found to mean; one of this very class is an optional field whose object is missing.

    Types are those that values are packed by: the declared one, or the object's where the declaration is loose.
    """

    declaration: Declaration


@dataclass(frozen=True, slots=True)
class VariableBinding(Binding):
    """A field and its variable."""

    spec: VariableSpec
    value: kinds.Type


@dataclass(frozen=True, slots=True)
class MapBinding(Binding):
    """A field and its map."""

    spec: MapSpec
    shape: Shape


@dataclass(frozen=True, slots=True)
class ProgramBinding(Binding):
    """A field and its program."""

    spec: ProgramSpec


@dataclass(frozen=True, slots=True)
class Report:
    """What checking found: `findings` of both severities, and the binding of every field that has none."""

    findings: tuple[Finding, ...]
    bindings: tuple[Binding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that forbid loading."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that do not."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")


def check(declarations: Iterable[Declaration], spec: CollectionSpec) -> Report:
    """Compare every declaration with the object."""
    checker = _Checker(spec)
    for declaration in declarations:
        getattr(checker, declaration.role)(declaration)
    return Report(tuple(checker.findings), tuple(checker.bindings))


class _Checker:
    def __init__(self, spec: CollectionSpec) -> None:
        self.spec = spec
        self.findings: list[Finding] = []
        self.bindings: list[Binding] = []

    def add(self, path: str, message: str, hint: str = "") -> None:
        self.findings.append(Finding(path, message, hint))

    def note(self, path: str, message: str, hint: str = "") -> None:
        self.findings.append(Finding(path, message, hint, "warning"))

    def missing(self, declaration: Declaration) -> None:
        if declaration.optional:
            self.bindings.append(Binding(declaration))
            return
        renamed = "" if declaration.name == declaration.attribute else f" {declaration.name}"
        reason = self.spec.explain_missing(declaration.name, role=declaration.role)
        self.add(declaration.label, f"no {declaration.role}{renamed} of that name in {self.spec.name}", reason)

    def variable(self, declaration: Declaration) -> None:
        found = self.spec.variables.get(declaration.name)
        if found is None:
            self.missing(declaration)
            return
        assert declaration.value is not None
        label, before = declaration.label, self.mark()
        constant = issubclass(declaration.handle, Const)
        if constant and not found.constant:
            self.add(label, f"declared Const, found in {found.section}, which is writable", "declare it as Var")
        elif found.constant and not constant:
            self.add(label, f"declared Var, found in {found.section}, which is frozen at load", "declare it as Const")
        if not found.size:
            self.add(label, f"found without any size in {found.section}", "there is nothing to read")
        elif found.type is None:
            told = self.mark()
            self.untyped(label, declaration.value, found.size, f"in {found.section}")
            if self.mark() == told:
                self.note(label, "the object has no BTF, so only the size was checked", "compile with -g")
        else:
            for difference in compare(declaration.value, found.type):
                suffix = "" if difference.path else f" in {found.section}"
                self.tell(label, difference, suffix)
            if self.clean(before):
                for way, at, size in misaligned(declaration.value, found.offset):
                    self.add(label + way, f"declared Atomic, found {size} bytes at offset {at} of {found.section}",
                             f"align it to {size} bytes in C")  # fmt: skip
        if constant and found.folded:
            self.note(
                label,
                "no code refers to it: the compiler folded its value, and rewriting it changes nothing",
                "declare it const volatile in C",
            )
        if self.clean(before):
            value = _resolve(declaration.value, found.type)
            bare = kinds.strip(value)
            if isinstance(bare, kinds.Composite):
                value = fitted(bare, found.size)  # a flexible array member has what its initial value gave it
            self.bindings.append(VariableBinding(declaration, found, value))

    def map(self, declaration: Declaration) -> None:
        found = self.spec.maps.get(declaration.name)
        if found is None or found.is_data:
            self.missing(declaration)
            return
        before = self.mark()
        if declaration.max_entries not in (None, found.max_entries):
            self.add(
                declaration.label, f"declared with max_entries={declaration.max_entries}, found {found.max_entries}"
            )
        shape = self.shape(declaration, found, declaration.label)
        if shape is not None and self.clean(before):
            self.bindings.append(MapBinding(declaration, found, shape))

    def shape(self, declaration: Declaration, found: MapSpec, label: str) -> Shape | None:
        """Compare what a map holds; return the types to pack by, or None where something was found."""
        handle, before = declaration.handle, self.mark()
        assert issubclass(handle, AnyMap) and declaration.key is not None and declaration.value is not None
        if handle.map_type and type_name(found.type) != handle.map_type:
            self.add(
                label,
                f"declared {handle.__name__} (type {handle.map_type}), found a map of type {type_name(found.type)}",
                map_hint(found),
            )
            return None
        if "event" in handle.parameters:
            value = self.event(declaration.value, found, label)
            return Shape(kinds.VOID, value, self.spec.byte_order) if self.clean(before) else None
        parts = [("key", declaration.key, found.key, found.key_size)] if "key" in handle.parameters else []
        if "value" in handle.parameters:
            parts.append(("value", declaration.value, found.value, found.value_size))
        for part, declared, type, size in parts:
            self.part(f"{label}.{part}", part, declared, type, size)
        inner = None
        if declaration.inner is not None:
            if found.inner is None:
                self.add(label, "the object does not say what its maps look like", "define it with __array(values, …)")
            else:
                shape = self.shape(declaration.inner, found.inner, f"{label}.inner")
                inner = (declaration.inner.handle, shape) if shape is not None else None
        if not self.clean(before):
            return None
        key, value = _resolve(declaration.key, found.key), _resolve(declaration.value, found.value)
        return Shape(key, value, self.spec.byte_order, inner)

    def part(self, path: str, part: str, declared: kinds.Type, type: kinds.Type | None, size: int) -> None:
        """Compare the key or the value of a map."""
        if type is not None:
            for difference in compare(declared, type):
                self.tell(path, difference)
            return
        if not size and isinstance(declared, kinds.Loose) and declared.python is Any:
            return  # a map without keys or values, such as an arena
        told = self.mark()
        self.untyped(path, declared, size, f"as {part}_size")
        if self.mark() == told:
            self.note(path, f"the map gives only {part}_size, so only the size was checked", f"use __type({part}, …)")

    def event(self, declared: kinds.Type, found: MapSpec, label: str) -> kinds.Type:
        """Compare the type of a stream's records with the map's, or else with the object's struct of that name."""
        path = f"{label}.event"
        if isinstance(declared, kinds.Loose):
            if declared.python is bytes:
                return kinds.VOID  # bytes of any number
            if found.value is not None:
                for difference in compare(declared, found.value):
                    self.tell(path, difference)
                return found.value
            self.add(path, f"declared {declared.name}, and the map does not say what its records are",
                     "declare a Struct class, or bytes")  # fmt: skip
            return kinds.VOID
        there = found.value
        if type_name(found.type) == "PERF_EVENT_ARRAY" and isinstance(kinds.strip(there or kinds.VOID), kinds.Int):
            there = None  # the descriptors that the kernel keeps in it, which many write down as its value
        if there is None and isinstance(declared, kinds.Composite):
            there = next((type for name in _c_names(declared.name) for type in self.structs(name)), None)
        if there is None:
            self.note(
                path,
                f"neither the map nor a struct of the name {declared.name or '(anonymous)'} says what its records are, so "
                "nothing was checked",
                'name the struct of C, as in class Event(Struct, name="event")',
            )
            return declared
        for difference in compare(declared, there):
            self.tell(path, difference)
        return declared

    def structs(self, name: str) -> list[kinds.Type]:
        return [type for type in self.spec.types.named(name) if isinstance(type, kinds.Composite)]

    def program(self, declaration: Declaration) -> None:
        found = self.spec.programs.get(declaration.name)
        if found is None:
            self.missing(declaration)
            return
        before, kind = self.mark(), declaration.program_kind
        if kind is not None and type_name(found.type) not in kind.types:
            wanted = " or ".join(kind.types)
            self.add(
                declaration.label,
                f"declared Program[{kind.__name__}] (type {wanted}), found a program of type "
                f"{type_name(found.type)} in section {found.section}",
            )
        if self.clean(before):
            self.bindings.append(ProgramBinding(declaration, found))

    def tell(self, label: str, difference: Difference, suffix: str = "") -> None:
        self.add(label + difference.path, difference.message + suffix, difference.hint)

    def untyped(self, path: str, declared: kinds.Type, size: int, where: str) -> None:
        """Check what has no BTF by its size, which is all there is."""
        if isinstance(declared, kinds.Loose):
            self.add(path, f"declared {declared.name}, found {size} bytes {where} without type information",
                     "say the C type, such as u32, or compile with -g")  # fmt: skip
        elif size_of(declared) != size:
            self.add(path, f"declared {describe(declared)}, found {size} bytes {where}",
                     "without type information, only the size could be checked")  # fmt: skip

    def mark(self) -> int:
        return len(self.findings)

    def clean(self, before: int) -> bool:
        """Tell whether nothing was found since `before` that forbids binding."""
        return not any(finding.severity == "error" for finding in self.findings[before:])


def _resolve(declared: kinds.Type, found: kinds.Type | None) -> kinds.Type:
    """Choose the type to pack values by: loose declarations take the object's, with their own Python type."""
    if not isinstance(declared, kinds.Loose):
        return declared
    if found is None:
        return kinds.VOID
    bare = kinds.strip(found)
    if isinstance(bare, kinds.Array) and declared.python in (str, bytes, list):
        return kinds.Array(bare.element, bare.length, declared.python)
    if isinstance(bare, kinds.Composite) and declared.python is bytes:
        return kinds.Array(kinds.Int("u8", 1), bare.size, bytes)
    return found


def _c_names(name: str) -> list[str]:
    """List how C may call what Python calls ``FlowEvent``: just so, or ``flow_event``."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return list(dict.fromkeys([name, snake, f"{snake}_t"]))


def map_hint(found: MapSpec) -> str:
    """Say how a map is declared."""
    kind = next((kind for kind in MAP_KINDS if kind.map_type == type_name(found.type)), Map)
    spelled = {
        "key": spell(found.key) if found.key is not None else "",
        "value": spell(found.value) if found.value is not None else "",
    }
    inside = ", ".join(spelled.get(part) or "…" for part in kind.parameters)
    return f"declare {kind.__name__}{f'[{inside}]' if inside else ''}"
