"""`OpenObjects`: an object that is checked and not loaded yet; and how it becomes an instance full of handles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..engine.base import Engine, LoadOptions
from ..errors import BpfTypeError, ConstantError, DeclarationError, Finding, shown
from ..handles.field import AnyField, Field
from ..handles.maps import make_map
from ..handles.variable import make_variable
from ..spec.collection import warn_folded
from ..types.annotations import mangled
from ..types.base import Codec
from ..types.codec import codec_for
from .check import Binding, MapBinding, ProgramBinding, VariableBinding
from .fields import fields_of
from .state import STATE, State

if TYPE_CHECKING:
    from typing import Self

    from pydantic import BaseModel

    from ..spec.collection import CollectionSpec
    from ..spec.specs import VariableSpec
    from .check import Report

T = TypeVar("T")
O = TypeVar("O")  # noqa: E741

Names = set[str]  # OpenObjects has a method called set


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
        raw = variable.encode(value, codec)
        warn_folded(variable)  # first, since it raises where warnings are errors
        variable.rewritten = raw
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
            if isinstance(binding, VariableBinding):
                codecs[binding.spec.name] = codec_for(binding.value, self.spec.byte_order)
                names[binding.declaration.label] = binding.spec.name
        if isinstance(constants, Mapping):
            values = dict(constants)
        elif hasattr(constants, "model_fields_set"):
            from .constants import values_of

            given = values_of(constants)
            # An optional constant that this object lacks keeps its attribute's name, and is refused by it.
            values = {names.get(label, label): value for label, value in given.items() if value is not None}
        else:
            raise ConstantError(
                "constants were not rewritten",
                [Finding("constants", f"{constants!r} is no mapping of names to values, and no constants_model()")],
            )
        self.spec.rewrite(values, codecs)
        return self

    def load(self, *, engine: Engine | None = None, options: LoadOptions | None = None) -> O:
        """Load what the class names and return an instance with its handles; may be called again.

        Raises:
            LoadError, VerifierError, PrivilegeError, NotSupportedError: as `BpfObjects.load_and_assign`.
        """
        if engine is None:
            from ..engine.select import default

            engine = default()
        if isinstance(engine, type) or not hasattr(engine, "load"):  # anything that loads will do
            raise BpfTypeError(f"{shown(engine)} is no engine: give an instance, such as MemoryEngine()", "engine")
        if options is not None and not isinstance(options, LoadOptions):
            raise BpfTypeError(f"{shown(options)} is no LoadOptions(…)", "options")
        maps, programs = self._wanted()
        loaded = engine.load(self.spec, maps, programs, options or LoadOptions())
        state = State(loaded)
        try:
            made: O = self._assign(self._cls, state, ())
            return made
        except BaseException:
            state.undo()
            raise

    def _wanted(self) -> tuple[Names, Names]:
        maps: Names = set()
        programs: Names = set()
        for binding in self._report.bindings:
            if isinstance(binding, VariableBinding):
                maps.add(binding.spec.section)
            elif isinstance(binding, MapBinding):
                maps.add(binding.spec.name)
            elif isinstance(binding, ProgramBinding):
                programs.add(binding.spec.name)
        return self.spec.closure(maps, programs)

    def _assign(self, cls: type[Any], state: State, path: tuple[str, ...]) -> Any:
        """Make an instance of the class or of one of its parts, and fill it."""
        made = object.__new__(cls)
        fields: dict[str, Any] = made.__dict__
        fields[STATE] = state
        for binding in self._report.bindings:
            if binding.declaration.path == path:
                _put(cls, fields, binding.declaration.attribute, self._handle(binding, state))
        for declaration in fields_of(cls).values():
            if declaration.role == "part":
                part = self._assign(declaration.handle, state, (*path, declaration.attribute))
                _put(cls, fields, declaration.attribute, part)
        return made

    def _handle(self, binding: Binding, state: State) -> Any:
        handle, order = binding.declaration.handle, self.spec.byte_order
        if isinstance(binding, VariableBinding):
            section = state.section(binding.spec.section)
            return make_variable(handle, binding.spec, binding.value, codec_for(binding.value, order), section)
        if isinstance(binding, MapBinding):
            made = make_map(handle, state.loaded.maps[binding.spec.name], binding.shape, state.loaded)
            state.maps.append(made)
            return made
        if isinstance(binding, ProgramBinding):
            return handle(state.loaded.programs[binding.spec.name], binding.spec, state.links, state.loaded)
        return None

    def _variable(self, field: AnyField) -> tuple[VariableSpec, Codec]:
        if not isinstance(field, AnyField):
            raise DeclarationError(
                f"{shown(field)} is no key of a field, such as {self._cls.__name__}.{self._example()}"
            )
        for binding in self._report.bindings:
            declaration = binding.declaration
            if declaration.attribute != field.attribute or declaration.role != "variable":
                continue
            if issubclass(field.owner, declaration.owner) or issubclass(declaration.owner, field.owner):
                if not isinstance(binding, VariableBinding):
                    raise DeclarationError(f"{field!r} is optional, and {self.spec.name} has no {declaration.name}")
                # By name: the user may have put another spec in its place.
                return self.spec.variables[binding.spec.name], codec_for(binding.value, self.spec.byte_order)
        raise DeclarationError(f"{field!r} is no variable of {self._cls.__name__}")

    def _example(self) -> str:
        variables = (b.declaration.attribute for b in self._report.bindings if isinstance(b, VariableBinding))
        return next(variables, "name")

    def __repr__(self) -> str:
        return f"<OpenObjects of {self._cls.__name__} and {self.spec.name}>"


def _put(cls: type, fields: dict[str, Any], name: str, value: Any) -> None:
    fields[name] = value
    if name.startswith("__"):
        # Inside methods, those of base classes too, Python spells such a name differently; all lead to the handle.
        for base in cls.__mro__:
            fields[mangled(base, name)] = value
