"""Global variables: `Var`, and `Const`, which has no way to write.

A scalar is read by one index into a typed view of the section's memory; everything else by one decoder. Which of the two
is chosen once, when the handle is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from ..engine.base import closed
from ..errors import BpfModelError, BpfValueError, NotSupportedError, Unique
from .atomic import AtomicInt, make_atomic
from .field import Field
from .section import Section

if TYPE_CHECKING:
    import numpy

    from ..btf import kinds
    from ..btf.parse import ByteOrder
    from ..spec.specs import VariableSpec
    from ..types.base import Codec

T = TypeVar("T")


class _Global(Unique, Generic[T]):
    """What Var and Const share: reading, and where the variable lies."""

    __slots__ = (
        "_codec",
        "_memory",
        "_order",
        "_ref",
        "_section",
        "_view",
        "name",
        "offset",
        "section",
        "size",
        "type",
    )

    name: str
    """The C name."""
    section: str
    """The data section it lies in: ``.bss``, ``.data.custom``."""
    offset: int
    """Where it lies in its section, in bytes."""
    size: int
    """Its bytes."""
    type: kinds.Type
    """Its type, in BTF's terms."""

    def __init__(self, spec: VariableSpec, type: kinds.Type, codec: Codec, section: Section) -> None:
        self.name, self.section, self.offset, self.size = spec.name, spec.section, spec.offset, spec.size
        self.type = type
        self._codec = codec
        self._order: ByteOrder = spec.byte_order
        self._section = section
        self._memory: memoryview | None = None
        self._ref: Any = None
        self._view: Any = self._look()

    def _look(self) -> Any:
        return self._section.window(self.offset, self.size, "")

    def get(self) -> T:
        """Return the value, as it is in the program's memory now.

        A value of more than one machine word may be caught half written by a running program.

        Raises:
            ClosedError: the object was closed.
        """
        try:
            return self._codec.decode(self._view, 0)  # type: ignore[no-any-return]
        except ValueError as error:
            raise self._reason(error) from None

    def ref(self) -> T:
        """Return a live reference into a struct, union or array: members are attributes, elements go by index.

        ``var.ref().inner.counters[3] = 5`` stores just those bytes. To static checkers it is a value of the variable's
        type; unlike one it is no copy. On a Const it only reads.

        Raises:
            ClosedError: the object was closed.
            NotSupportedError: the variable has nothing inside, or cannot be mapped into this process.
        """
        from .reference import refer

        memory = self.memory  # or the reason why there is none
        if self._ref is None:
            self._ref = refer(self.type, self._order, memory, self._section, self.name)
        return self._ref  # type: ignore[no-any-return]

    @property
    def memory(self) -> memoryview:
        """The variable's bytes themselves: what is written here, the program sees, and the other way round.

        Read-only for a Const. Closing the object takes it back.

        Raises:
            ClosedError: the object was closed.
            NotSupportedError: the section cannot be mapped into this process.
        """
        if self._section.closed:
            raise closed(self.name)
        if self._memory is None:
            self._memory = self._section.window(self.offset, self.size, "")
        return self._memory

    def numpy(self) -> numpy.ndarray[Any, Any]:
        """Return the variable as a NumPy array on the same memory: nothing is copied, both sides see what either writes.

        An array in C has its dimensions, a struct is one record of a structured dtype, a number an array without any
        dimension. Read-only for a Const. Unlike a handle it goes on showing the program's memory after the object is closed.

        Raises:
            ClosedError: the object was closed.
            NotSupportedError: NumPy is not installed, or the section cannot be mapped into this process.
        """
        from ..types.dtypes import array_over, dtype_of

        # A view of its own, which the array keeps when ours is taken back.
        return array_over(memoryview(self.memory), dtype_of(self.type, self._order))

    def _reason(self, error: ValueError) -> Exception:
        """Say why a view refused: it was taken back, or the value is at fault."""
        return closed(self.name) if self._section.closed else error

    def __repr__(self) -> str:
        kind = "Const" if isinstance(self, Const) else "Var"
        try:
            shown = repr(self.get())
        except BpfModelError as error:
            shown = f"({type(error).__name__})"
        return f"<{kind} {self.name} = {shown}>"


class Const(_Global[T]):
    """A constant of the program: a variable in ``.rodata``, which the kernel freezes at load.

    There is no ``set``: rewrite constants before load, with ``load_and_assign(…, constants={…})`` or ``open(…).set(…)``.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any]) -> Field[T]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> Const[T]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...


class Var(_Global[T]):
    """A global variable of the program that both sides may write."""

    __slots__ = ("_atomics",)

    def __init__(self, spec: VariableSpec, type: kinds.Type, codec: Codec, section: Section) -> None:
        super().__init__(spec, type, codec, section)
        self._atomics: dict[str, AtomicInt] = {}

    def set(self, value: T) -> None:
        """Store a value; the program sees it at once.

        Either all of the value fits and is stored, or nothing is.

        Raises:
            BpfValueError: the value does not fit the C type; the message has the bounds.
            ClosedError: the object was closed.
        """
        raw = self._encode(value)
        try:
            self._view[: len(raw)] = raw
        except ValueError as error:
            raise self._reason(error) from None

    @overload
    def atomic(self: Var[int]) -> AtomicInt: ...
    @overload
    def atomic(self, path: str) -> AtomicInt: ...
    def atomic(self, path: str = "") -> AtomicInt:
        """Return atomic access to the variable, which has to be an integer of 4 or 8 bytes, or to one inside of it.

        Args:
            path: what leads to the integer: ``objs.state.atomic("inner.counters[3]").add(1)``.

        Raises:
            NotSupportedError: it is no such integer, is not aligned, or cannot be mapped; or no backend is installed.
                Declared as ``Atomic[u64]``, a wrong width or place is told when the class is made or checked.
            BpfValueError: the path leads nowhere.
            ClosedError: the object was closed.
        """
        try:
            return self._atomics[path]
        except (KeyError, TypeError):
            found = make_atomic(self.type, path, self._order, self.memory, self.name)
            self._section.before_close(found.close)
            return self._atomics.setdefault(path, found)

    def _encode(self, value: Any) -> bytes:
        try:
            return self._codec.encode(value)
        except BpfValueError as error:
            raise error.within(self.name) from None

    if TYPE_CHECKING:

        @overload
        def __get__(self, instance: None, owner: type[Any]) -> Field[T]: ...
        @overload
        def __get__(self, instance: object, owner: type[Any]) -> Var[T]: ...
        def __get__(self, instance: Any, owner: Any) -> Any: ...


class _Number(_Global[T]):
    """Reads a number with one index, and nothing else on the way."""

    __slots__ = ()

    def _look(self) -> Any:
        return self._section.window(self.offset, self.size, self._codec.format)

    def get(self) -> T:
        try:
            return self._view[0]  # type: ignore[no-any-return]
        except ValueError as error:
            raise self._reason(error) from None

    get.__doc__ = _Global.get.__doc__


class _NumberConst(_Number[T], Const[T]):
    __doc__ = Const.__doc__
    __slots__ = ()


class _NumberVar(_Number[T], Var[T]):
    __doc__ = Var.__doc__
    __slots__ = ()

    def set(self, value: T) -> None:
        try:
            self._view[0] = value
        except (ValueError, TypeError) as error:
            reason = self._reason(error)  # type: ignore[arg-type]
            if reason is not error:
                raise reason from None
            self._encode(value)  # says what is wrong with it
            raise

    set.__doc__ = Var.set.__doc__


class _Copied(_Global[T]):
    """Reads through the map, where the section cannot be mapped."""

    __slots__ = ()

    def _look(self) -> Any:
        return None

    def get(self) -> T:
        return self._codec.decode(self._section.read(), self.offset)  # type: ignore[no-any-return]

    get.__doc__ = _Global.get.__doc__

    @property
    def memory(self) -> memoryview:
        """Not to be had here."""
        if self._section.closed:
            raise closed(self.name)
        raise NotSupportedError(
            f"{self.name}: section {self.section} cannot be mapped into this process: that takes Linux 5.5 and an object "
            "whose BTF has a global variable in it; get and set work, through the map"
        )


class _CopiedConst(_Copied[T], Const[T]):
    __doc__ = Const.__doc__
    __slots__ = ()


class _CopiedVar(_Copied[T], Var[T]):
    __doc__ = Var.__doc__
    __slots__ = ()

    def set(self, value: T) -> None:
        self._section.write(self.offset, self._encode(value))

    set.__doc__ = Var.set.__doc__


def make_variable(
    wanted: type[Any], spec: VariableSpec, type: kinds.Type, codec: Codec, section: Section
) -> Var[Any] | Const[Any]:
    """Make the handle of a variable: `wanted` is Var or Const."""
    constant = issubclass(wanted, Const)
    if section.view is None:
        return (_CopiedConst if constant else _CopiedVar)(spec, type, codec, section)
    if codec.format:
        return (_NumberConst if constant else _NumberVar)(spec, type, codec, section)
    return (Const if constant else Var)(spec, type, codec, section)
