"""`BpfObjects`: the class that users derive from, and `OpenObjects`, an object that is checked and not loaded yet.

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

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar
from weakref import WeakSet

from ..engine.base import Engine, LoadedObject, LoadOptions
from ..errors import (
    ConstantError,
    DeclarationError,
    Finding,
    FoldedConstantWarning,
    MismatchError,
    ReadOnlyError,
)
from ..handles.field import AnyField, Field
from ..handles.link import Link
from ..handles.program import Program
from ..handles.section import Section
from ..handles.variable import make_variable
from ..types.annotations import Body, body_of, unmangled
from ..types.codec import Codec, codec_for
from .declare import Declaration, declare, key_of, refuse_doubles

if TYPE_CHECKING:
    from typing import Self

    from pydantic import BaseModel

    from ..spec.collection import CollectionSpec, Source
    from .check import Report

T = TypeVar("T")
O = TypeVar("O", bound="BpfObjects")  # noqa: E741

_STATE = "__bpf_state__"
Names = set[str]  # OpenObjects has a method called set


class _State:
    """What a loaded object holds besides its handles; shared by its parts."""

    __slots__ = ("closed", "links", "loaded", "sections")

    def __init__(self, loaded: LoadedObject) -> None:
        self.loaded = loaded
        self.sections: dict[str, Section] = {}
        self.links: WeakSet[Link] = WeakSet()
        self.closed = False

    def section(self, name: str) -> Section:
        if name not in self.sections:
            self.sections[name] = Section(self.loaded.maps[name])
        return self.sections[name]

    def close(self) -> None:
        self.closed = True
        with contextlib.ExitStack() as stack:  # closes the rest even where one fails
            stack.callback(self.loaded.close)
            for section in self.sections.values():
                stack.callback(section.close)
            for link in list(self.links):
                stack.callback(link.close)


class BpfObjects:
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

    __bpf_body__: ClassVar[Body]
    __bpf_defaults__: ClassVar[dict[str, Any]]
    __bpf_fields__: ClassVar[dict[str, Declaration]]

    def __init_subclass__(cls, **others: Any) -> None:
        super().__init_subclass__(**others)
        cls.__bpf_body__ = body_of(cls)
        names = cls.__bpf_body__.names()
        cls.__bpf_defaults__ = {unmangled(cls, name): cls.__dict__[name] for name in names if name in cls.__dict__}
        try:
            _declarations(cls)
        except NameError:
            # A name that is defined later: understood at first use. The keys need no annotation but their names.
            for name in names:
                setattr(cls, unmangled(cls, name), Field(cls, unmangled(cls, name)))

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

        return _checked(cls, CollectionSpec.of(source)).warnings

    @classmethod
    def open(cls, source: Source) -> OpenObjects[Self]:
        """Check an object file and return it with a spec of its own, to be changed and loaded.

        Raises:
            MismatchError, SourceError, DeclarationError: as `check`.
        """
        from ..spec.collection import CollectionSpec

        spec = CollectionSpec.of(source).copy()
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
        state: _State = self.__dict__[_STATE]
        state.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        state: _State = self.__dict__[_STATE]
        return state.closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __setattr__(self, name: str, value: object) -> None:
        if name in _declarations(type(self)):
            raise ReadOnlyError(
                f"{type(self).__name__}.{name} is a handle and stays what it is; to store a value, call .set(value)"
            )
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {', '.join(_declarations(type(self)))}{' (closed)' if self.closed else ''}>"


class OpenObjects(Generic[O]):
    """An object file that was checked against a class, with a spec of its own that may be changed before load."""

    __slots__ = ("_cls", "_report", "spec")

    spec: CollectionSpec
    """The plan: resize maps, set values, here. Changing it changes nothing but later loads."""

    def __init__(self, cls: type[O], spec: CollectionSpec, report: Report) -> None:
        self._cls = cls
        self.spec = spec
        self._report = report

    def set(self, field: Field[T], value: T) -> Self:
        """Set the initial value of a variable, constant or not, and return self.

        Raises:
            BpfValueError: the value does not fit the declared C type.
            DeclarationError: the field is not one of this class, or its optional variable is missing.
        """
        variable, codec = self._variable(field)
        variable.rewritten = variable.encode(value, codec)
        _warn_folded(variable)
        return self

    def get(self, field: Field[T]) -> T:
        """Return the initial value of a variable.

        Raises:
            DeclarationError: the field is not one of this class, or its optional variable is missing.
        """
        variable, codec = self._variable(field)
        value: T = codec.decode(variable.value, 0)
        return value

    def rewrite_constants(self, constants: Mapping[str, Any] | BaseModel) -> Self:
        """Set constants by C name, or from an instance of `constants_model`; all or none. Return self.

        Raises:
            ConstantError: lists every unknown name, every name that is no constant, and every bad value.
        """
        codecs: dict[str, Codec] = {}
        names: dict[str, str] = {}
        for binding in self._report.bindings:
            declaration = binding.declaration
            if declaration.role == "variable" and binding.spec is not None and binding.value is not None:
                codecs[declaration.name] = codec_for(binding.value, self.spec.byte_order)
                names[declaration.label.replace(".", "__")] = declaration.name
        if isinstance(constants, Mapping):
            values = dict(constants)
        elif hasattr(constants, "model_fields_set"):
            given = {attribute: getattr(constants, attribute) for attribute in constants.model_fields_set}
            # An optional constant that this object lacks keeps its attribute's name, and is refused by it.
            values = {names.get(name, name): value for name, value in given.items() if value is not None}
        else:
            raise ConstantError(
                "constants were not rewritten",
                [Finding("constants", f"{constants!r} is no mapping of names to values, and no constants_model()")],
            )
        self.spec.rewrite(values, codecs)
        for name in values:
            _warn_folded(self.spec.variables[name])
        return self

    def load(self, *, engine: Engine | None = None, options: LoadOptions | None = None) -> O:
        """Load what the class names and return an instance with its handles; may be called again.

        Raises:
            LoadError, VerifierError, PrivilegeError, NotSupportedError: as `BpfObjects.load_and_assign`.
        """
        if engine is None:
            from ..engine.select import default

            engine = default()
        maps, programs = self._wanted()
        loaded = engine.load(self.spec, maps, programs, options or LoadOptions())
        state = _State(loaded)
        try:
            made: O = self._assign(self._cls, state, ())
            return made
        except BaseException:
            state.close()
            raise

    def _wanted(self) -> tuple[Names, Names]:
        from ..spec.collection import MapSpec, ProgramSpec, VariableSpec

        maps: Names = set()
        programs: Names = set()
        for binding in self._report.bindings:
            if isinstance(binding.spec, VariableSpec):
                maps.add(binding.spec.section)
            elif isinstance(binding.spec, MapSpec):
                maps.add(binding.spec.name)
            elif isinstance(binding.spec, ProgramSpec):
                programs.add(binding.spec.name)
        return self.spec.closure(maps, programs)

    def _assign(self, cls: type[Any], state: _State, path: tuple[str, ...]) -> Any:
        """Make an instance of the class or of one of its parts, and fill it."""
        made = object.__new__(cls)
        fields: dict[str, Any] = made.__dict__
        fields[_STATE] = state
        for binding in self._report.bindings:
            if binding.declaration.path == path:
                _put(cls, fields, binding.declaration.attribute, self._handle(binding, state))
        for declaration in _declarations(cls).values():
            if declaration.role == "part":
                part = self._assign(declaration.handle, state, (*path, declaration.attribute))
                _put(cls, fields, declaration.attribute, part)
        return made

    def _handle(self, binding: Any, state: _State) -> Any:
        declaration, spec, order = binding.declaration, binding.spec, self.spec.byte_order
        if spec is None:
            return None
        if declaration.role == "variable":
            section = state.section(spec.section)
            return make_variable(declaration.handle, spec, binding.value, codec_for(binding.value, order), section)
        if declaration.role == "program":
            return Program(state.loaded.programs[spec.name], spec, state.links)
        key, value = codec_for(binding.key, order), codec_for(binding.value, order)
        return declaration.handle(state.loaded.maps[spec.name], key, value)

    def _variable(self, field: AnyField) -> Any:
        for binding in self._report.bindings:
            declaration = binding.declaration
            if declaration.attribute != field.attribute or declaration.role != "variable":
                continue
            if issubclass(field.owner, declaration.owner) or issubclass(declaration.owner, field.owner):
                if binding.spec is None:
                    raise DeclarationError(f"{field!r} is optional, and {self.spec.name} has no {declaration.name}")
                assert binding.value is not None
                variable = self.spec.variables[declaration.name]
                return variable, codec_for(binding.value, self.spec.byte_order)
        raise DeclarationError(f"{field!r} is no variable of {self._cls.__name__}")

    def __repr__(self) -> str:
        return f"<OpenObjects of {self._cls.__name__} and {self.spec.name}>"


def _declarations(cls: type[Any]) -> dict[str, Declaration]:
    """Return the fields of a class by attribute, those it inherits first. The one place that makes them."""
    known: dict[str, Declaration] | None = cls.__dict__.get("__bpf_fields__")
    if known is not None:
        return known
    found: dict[str, Declaration] = {}
    for base in reversed(cls.__mro__[1:]):
        if issubclass(base, BpfObjects) and base is not BpfObjects:
            found.update(_own(base))
    own = _own(cls) if cls is not BpfObjects else {}
    found.update(own)
    for attribute, declaration in own.items():
        if attribute in _TAKEN:
            raise DeclarationError(
                f"{cls.__qualname__}.{attribute} would hide BpfObjects.{attribute}; give the attribute another name: "
                f'{attribute}_: … = field(name="{declaration.name}")'
            )
        setattr(cls, attribute, key_of(declaration))
    refuse_doubles(cls, _walk(found, (), (cls,)))
    cls.__bpf_fields__ = found
    return found


def _own(cls: type[Any]) -> dict[str, Declaration]:
    """Understand the annotations a class itself wrote."""
    known: dict[str, Declaration] | None = cls.__dict__.get("__bpf_own__")
    if known is None:
        known = cls.__bpf_own__ = {
            name: declare(cls, name, annotation, cls.__bpf_defaults__.get(name), BpfObjects)
            for name, annotation in cls.__bpf_body__.resolve().items()
        }
    return known


def flat(cls: type[Any]) -> list[Declaration]:
    """List the variables, maps and programs of a class and of its parts, each with its path.

    Raises:
        DeclarationError: an annotation cannot be understood, or a name in one is defined nowhere.
    """
    try:
        return list(_walk(_declarations(cls), (), (cls,)))
    except NameError as error:
        raise DeclarationError(f"{cls.__qualname__}: an annotation names what is not defined: {error}") from error


def _walk(fields: dict[str, Declaration], path: tuple[str, ...], within: tuple[type, ...]) -> Iterator[Declaration]:
    for declaration in fields.values():
        if declaration.role != "part":
            yield replace(declaration, path=path) if path else declaration
        elif declaration.handle in within:
            raise DeclarationError(
                f"{declaration.owner.__qualname__}.{declaration.attribute} is a part that contains itself"
            )
        else:
            part = declaration.handle
            yield from _walk(_declarations(part), (*path, declaration.attribute), (*within, part))


def _checked(cls: type[Any], spec: CollectionSpec) -> Report:
    from .check import check

    report = check(flat(cls), spec)
    if report.errors:
        raise MismatchError(f"{cls.__name__} does not match {spec.name}", report.errors)
    return report


def _put(cls: type, fields: dict[str, Any], name: str, value: Any) -> None:
    fields[name] = value
    if name.startswith("__") and not name.endswith("__"):
        # Inside methods Python spells such a name differently; both lead to the handle.
        for base in cls.__mro__:
            fields[f"_{base.__name__.lstrip('_')}{name}"] = value


def _warn_folded(variable: Any) -> None:
    if variable.constant and not variable.referenced:
        warnings.warn(
            f"{variable.name}: no code refers to it: the compiler folded its value, and rewriting it changes nothing; "
            "declare it const volatile in C",
            FoldedConstantWarning,
            stacklevel=3,
        )


_TAKEN = {name for name in dir(BpfObjects) if not name.startswith("_")} | {"from_pins", "from_program"}
