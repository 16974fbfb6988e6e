"""Resolves the annotations of a class body, for structs and objects classes alike.

This is the only place that evaluates annotations: strings (``from __future__ import annotations``), names of enclosing
functions, the class's own name, and the lazily evaluated annotations of Python 3.14.
"""

from __future__ import annotations

import sys
import types
import typing
from collections import ChainMap
from typing import Any, ClassVar, get_origin

from ..errors import DeclarationError, UndefinedNameError

_CO_OPTIMIZED = 1  # of the inspect module, which is slow to import: the code is a function's


class Body:
    """What is needed to evaluate the annotations that one class body wrote, now or later."""

    __slots__ = ("_frames", "_globals", "_hints", "_names", "cls")

    def __init__(self, cls: type, globals: dict[str, Any], frames: list[types.FrameType]) -> None:
        self.cls = cls
        self._globals = globals
        # The bodies and functions around the class. Held until the annotations are resolved and no longer: a name may
        # be defined in them only after the class.
        self._frames = frames
        self._names = dict(vars(cls))  # before keys and defaults take the place of what it wrote
        self._hints: dict[str, Any] | None = None

    def names(self) -> list[str]:
        """List what the body annotates, as Python spells it, without evaluating anything."""
        return list(_written(self.cls, evaluate=False))

    def resolve(self) -> dict[str, Any]:
        """Evaluate the annotations this class itself wrote, in order; class variables are left out.

        Raises:
            UndefinedNameError: a name is not defined, or not yet.
            DeclarationError: an annotation cannot be evaluated for another reason.
        """
        if self._hints is None:
            self._hints = self._evaluate()
            self._frames, self._names = [], {}
        return self._hints

    def _evaluate(self) -> dict[str, Any]:
        names = ChainMap({self.cls.__name__: self.cls}, self._names, *(frame.f_locals for frame in self._frames))
        try:
            written = _written(self.cls, evaluate=True)
            # A class of its own: get_type_hints would else walk the bases too, each in this module's namespace.
            holder = types.new_class("holder", (), {}, lambda body: body.update(__annotations__=written))
            hints = typing.get_type_hints(holder, self._globals, names, include_extras=True)
        except NameError as error:
            raise UndefinedNameError(
                f"{self.cls.__qualname__}: an annotation names what is not defined: {error}"
            ) from None
        except Exception as error:  # whatever the text of an annotation does when it is evaluated
            raise DeclarationError(f"{self.cls.__qualname__}: an annotation cannot be evaluated: {error}") from error
        return {
            unmangled(self.cls, name): hint
            for name, hint in hints.items()
            if hint is not ClassVar and get_origin(hint) is not ClassVar
        }


def body_of(cls: type) -> Body:
    """Remember the scope in which `cls` is being defined; to be called from its ``__init_subclass__``."""
    frame: types.FrameType | None = sys._getframe(1)
    # Every __init_subclass__ on the way, ours and the user's, has a frame, and so has every metaclass written in Python
    # (abc's among them); the one below them ran the class statement.
    while frame is not None and frame.f_code.co_name in ("__init_subclass__", "__new__", "new_class"):
        frame = frame.f_back
    if frame is None:
        return Body(cls, vars(sys.modules[cls.__module__]), [])
    # Not the module by its name: code that was given to exec() has globals and no module.
    globals, frames = frame.f_globals, []
    while frame is not None and frame.f_locals is not frame.f_globals:
        frames.append(frame)
        if frame.f_code.co_flags & _CO_OPTIMIZED:
            break  # a function; only class bodies lie inside of what called them
        frame = frame.f_back
    return Body(cls, globals, frames)


def mangled(cls: type, name: str) -> str:
    """Return how Python spells a name inside the class: C has names that begin with two underscores, too."""
    return f"_{cls.__name__.lstrip('_')}{name}" if name.startswith("__") and not name.endswith("__") else name


def unmangled(cls: type, name: str) -> str:
    """Undo `mangled`."""
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
