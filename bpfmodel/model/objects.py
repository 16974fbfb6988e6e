"""`BpfObjects`: the class that users derive from.

::

    class Objects(BpfObjects): …      declare
        Objects.check(source)         compare; raises MismatchError
        Objects.open(source)          compare, and keep a spec that may be changed
            .set(field, value)        rewrite
            .load()                   first contact with the machine; returns an Objects
        Objects.load_and_assign(…)    all of it at once
    objs.pkt_count.get()              use
    objs.close()                      or the end of the with block
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..engine.base import Engine, LoadOptions, closed
from ..errors import Finding, MismatchError, ReadOnlyError, Unique
from .fields import Declarative, fields_of, flat
from .state import STATE, State

if TYPE_CHECKING:
    from typing import Self

    from pydantic import BaseModel

    from ..spec.collection import CollectionSpec, Source
    from .check import Report
    from .opened import OpenObjects


class BpfObjects(Unique, Declarative):
    """The base of a declaration: derive from it, and annotate what the object file holds.

    ::

        class Objects(BpfObjects):
            pkt_count: Var[u64]
            ro_variable: Const[u32]
            flows: HashMap[u32, Stats]
            count_packets: Program

    On the class, ``Objects.pkt_count`` is a typed key; on what `load_and_assign` returns, it is the handle. Declarations
    are inherited, and a field annotated with another class of objects is a part that is filled as well. A loaded object
    is a context manager; closing it closes every handle, and every part.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:  # noqa: D102 - nothing to call
        raise TypeError(f"{cls.__name__} is not made by calling it: use {cls.__name__}.load_and_assign(source)")

    @classmethod
    def check(cls, source: Source) -> tuple[Finding, ...]:
        """Compare the declaration with an object file; needs no privilege, and no Linux.

        Args:
            source: a path, bytes, an `importlib.resources` file, or a CollectionSpec.

        Returns:
            What is worth knowing and forbids nothing, such as a map that only gives sizes.

        Raises:
            MismatchError: lists every difference.
            SourceError: the source is no BPF object.
            DeclarationError: the declaration itself cannot be understood.
        """
        from ..spec.collection import CollectionSpec

        flat(cls)  # a class that cannot be understood is told before a source that cannot be read
        return _checked(cls, CollectionSpec.of(source)).warnings

    @classmethod
    def open(cls, source: Source) -> OpenObjects[Self]:
        """Check an object file and return it with a spec of its own, to be changed and loaded.

        Raises:
            MismatchError, SourceError, DeclarationError: as `check`.
        """
        from ..spec.collection import CollectionSpec
        from .opened import OpenObjects

        spec = CollectionSpec.of(source)
        if spec is source:
            spec = spec.copy()
        return OpenObjects(cls, spec, _checked(cls, spec))

    @classmethod
    def load_and_assign(
        cls,
        source: Source,
        *,
        constants: Mapping[str, Any] | BaseModel | None = None,
        engine: Engine | None = None,
        options: LoadOptions | None = None,
    ) -> Self:
        """Check an object file, rewrite constants, load what the class names, and fill an instance with handles.

        Only the fields and what they refer to are created. If anything fails, nothing is left behind.

        Args:
            source: a path, bytes, an `importlib.resources` file, or a CollectionSpec, which is not changed.
            constants: values by C name, or an instance of `constants_model`.
            engine: where to load; None is the kernel.
            options: how to load.

        Raises:
            MismatchError, SourceError, DeclarationError: as `check`.
            ConstantError: a name or value of `constants` is wrong; all are listed.
            LoadError: the kernel or libbpf refused. VerifierError, PrivilegeError: two reasons of their own.
            NotSupportedError: something is missing in this kernel, libbpf or engine.
        """
        opened = cls.open(source)
        if constants:
            opened.rewrite_constants(constants)
        return opened.load(engine=engine, options=options)

    @classmethod
    def constants_model(cls) -> type[BaseModel]:
        """Return a pydantic model of the Const fields, for configuration files, environments and command lines.

        Every field is optional; `load_and_assign` rewrites those that were set. Ranges and lengths are those of the
        declared C types.
        """
        from .constants import constants_model

        return constants_model(cls, [item for item in flat(cls) if item.role == "variable"])

    def close(self) -> None:
        """Close every handle, link and part, and free what the kernel holds; may be called again."""
        state: State = self.__dict__[STATE]
        state.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        state: State = self.__dict__[STATE]
        return state.closed

    def __enter__(self) -> Self:
        if self.closed:
            raise closed(type(self).__name__)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __setattr__(self, name: str, value: object) -> None:
        if name in fields_of(type(self)):
            raise ReadOnlyError(
                f"{type(self).__name__}.{name} is a handle and stays what it is; to store a value, call .set(value)"
            )
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if name in fields_of(type(self)):
            raise ReadOnlyError(f"{type(self).__name__}.{name} is a handle and stays; close the object instead")
        super().__delattr__(name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {', '.join(fields_of(type(self)))}{' (closed)' if self.closed else ''}>"


def _checked(cls: type[Any], spec: CollectionSpec) -> Report:
    from .check import check

    report = check(flat(cls), spec)
    if report.errors:
        raise MismatchError(f"{cls.__name__} does not match {spec.name}", report.errors)
    return report
