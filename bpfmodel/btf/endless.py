"""Refuses types that contain themselves, or nest too deeply to be walked."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import SourceError
from . import kinds

MAX_DEPTH = 64
"""Twice MAX_RESOLVE_DEPTH of the kernel's ``kernel/bpf/btf.c``, which refuses deeper types at load."""

_NESTING = (kinds.Modifier, kinds.Composite, kinds.Array, kinds.Ptr)


def _inside(type: kinds.Type) -> list[kinds.Type]:
    """List the types that must be known to know this one: all it holds by value, and what its pointers name.

    Pointers to structs, unions and functions end the walk, since C closes circles through them and nothing else.
    """
    if isinstance(type, kinds.Modifier):
        return [type.target]
    if isinstance(type, kinds.Composite):
        return [member.type for member in type.members]
    if isinstance(type, kinds.Array):
        return [type.element]
    if isinstance(type, kinds.Ptr):
        # A pointer may reach its own struct through a typedef, a const or an array: look behind them, with a limit.
        target, steps = type.target, 0
        while isinstance(target, (kinds.Modifier, kinds.Array)) and steps < MAX_DEPTH:
            target, steps = target.target if isinstance(target, kinds.Modifier) else target.element, steps + 1
        return [] if isinstance(target, (kinds.Composite, kinds.FuncProto)) else [type.target]
    return []


def refuse_endless(types: list[kinds.Type]) -> None:
    """Refuse types that contain themselves or nest deeper than `MAX_DEPTH`, without recursion."""
    depths: dict[int, int] = {}
    for start in types:
        if not isinstance(start, _NESTING) or id(start) in depths:
            continue
        if isinstance(start, kinds.Modifier):
            # By far the most frequent case: what is behind it is known already, or has nothing inside.
            below = depths.get(id(start.target), 0 if isinstance(start.target, _NESTING) else 1)
            if 0 < below < MAX_DEPTH:
                depths[id(start)] = below + 1
                continue
        path: list[tuple[kinds.Type, Iterator[kinds.Type]]] = [(start, iter(_inside(start)))]
        depths[id(start)] = -1  # on the path
        deepest = [0]
        while path:
            type, children = path[-1]
            child = next(children, None)
            if child is None:
                path.pop()
                depth = depths[id(type)] = deepest.pop() + 1
                if depth > MAX_DEPTH:
                    raise SourceError(f"BTF type {type.name or '(anonymous)'} nests deeper than {MAX_DEPTH} levels")
                if deepest:
                    deepest[-1] = max(deepest[-1], depth)
                continue
            known = depths.get(id(child))
            if known == -1:
                raise SourceError(f"BTF type {child.name or '(anonymous)'} contains itself")
            if known is not None:
                deepest[-1] = max(deepest[-1], known)
                continue
            depths[id(child)] = -1
            deepest.append(0)
            path.append((child, iter(_inside(child))))
