"""Resolves the annotations of a class body, for structs and objects classes alike.

This is the only place that evaluates annotations: strings (``from __future__ import annotations``), names of enclosing
functions, the class's own name, and the lazily evaluated annotations of Python 3.14.
"""

from __future__ import annotations

import sys
import types
import typing
from collections import ChainMap
from collections.abc import Mapping
from typing import Any, ClassVar, get_origin


class Body:
    """What is needed to evaluate the annotations that one class body wrote, now or later."""

    __slots__ = ("cls", "globals", "scope")

    def __init__(self, cls: type, globals: dict[str, Any], scope: Mapping[str, Any]) -> None:
        self.cls = cls
        self.globals = globals
        self.scope = scope

    def names(self) -> list[str]:
        """List what the body annotates, as Python spells it, without evaluating anything."""
        return list(_written(self.cls, evaluate=False))

    def resolve(self) -> dict[str, Any]:
        """Evaluate the annotations this class itself wrote, in order; class variables are left out.

        Raises:
            NameError: a name is not defined, or not yet.
        """
        written = _written(self.cls, evaluate=True)
        if not written:
            return {}
        # A class of its own: get_type_hints would else walk the bases too, each in this module's namespace.
        holder = types.new_class("holder", (), {}, lambda body: body.update(__annotations__=written))
        names = ChainMap({self.cls.__name__: self.cls}, dict(vars(self.cls)), dict(self.scope))
        hints = typing.get_type_hints(holder, self.globals, names, include_extras=True)
        return {
            unmangled(self.cls, name): hint
            for name, hint in hints.items()
            if hint is not ClassVar and get_origin(hint) is not ClassVar
        }


def body_of(cls: type) -> Body:
    """Remember the scope in which `cls` is being defined; to be called from its ``__init_subclass__``."""
    frame: types.FrameType | None = sys._getframe(1)
    # Every __init_subclass__ on the way, ours and the user's, has a frame; the one below ran the class statement.
    while frame is not None and frame.f_code.co_name == "__init_subclass__":
        frame = frame.f_back
    if frame is None:
        return Body(cls, vars(sys.modules[cls.__module__]), {})
    # Not the module by its name: code that was given to exec() has globals and no module.
    return Body(cls, frame.f_globals, {} if frame.f_locals is frame.f_globals else dict(frame.f_locals))


def unmangled(cls: type, name: str) -> str:
    """Undo what Python does to names that begin with two underscores: C has such names too."""
    prefix = f"_{cls.__name__.lstrip('_')}__"
    if name.startswith(prefix) and not name.endswith("__"):
        return name[len(prefix) - 2 :]
    return name


def _written(cls: type, *, evaluate: bool) -> dict[str, Any]:
    if sys.version_info >= (3, 14):
        import annotationlib

        format = annotationlib.Format.VALUE if evaluate else annotationlib.Format.FORWARDREF
        return annotationlib.get_annotations(cls, format=format)
    return dict(cls.__dict__.get("__annotations__", ()))
