"""Annotations that Python leaves as text: from __future__ import annotations, scopes, and names defined later."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from typing import Literal as L

import pytest
from support.data import testdata

import bpfmodel
from bpfmodel import (
    BpfObjects,
    CollectionSpec,
    CString,
    DeclarationError,
    Field,
    HashMap,
    MemoryEngine,
    Program,
    Struct,
    Var,
    field,
    u8,
    u32,
    u64,
)
from bpfmodel.model.fields import flat

if TYPE_CHECKING:
    from nowhere import Nothing  # type: ignore[import-not-found]

SCALARS = CollectionSpec.from_file(testdata("scalars"))
MAPS = CollectionSpec.from_file(testdata("maps"))


class AtModule(BpfObjects):
    VERSION: ClassVar[int] = 3
    number: Var[u32] = field(name="u32_var")
    msg: Var[CString[L[13]]]
    wide: Annotated[Var[bpfmodel.u64], "by its module"] = field(name="u64_var")
    nothing: HashMap[u32, u32] | None
    sum: Program


class Early(BpfObjects):
    flows: HashMap[u32, Later]
    counters: bpfmodel.ArrayMap[u64]
    part: LaterPart


EARLY_KEYS = (Early.__dict__["flows"], Early.__dict__["counters"])


class LaterPart(BpfObjects):
    touch: Program


class Later(Struct):
    packets: u64
    bytes: u64


def load(cls: Any, spec: CollectionSpec = SCALARS) -> Any:
    return cls.load_and_assign(spec, engine=MemoryEngine())


def test_at_module_level() -> None:
    assert AtModule.check(SCALARS) == ()
    with load(AtModule) as objs:
        assert objs.number.get() == 0xDEADBEEF
        assert objs.msg.get() == "Hello World!"
        assert objs.nothing is None


def test_forward_references_are_resolved_at_first_use() -> None:
    assert Early.check(MAPS) == ()
    with load(Early, MAPS) as objs:
        objs.flows[1] = Later(2, 3)
        assert objs.flows[1] == Later(2, 3)
        assert objs.part.touch.name == "touch"


def test_keys_exist_before_names_do() -> None:
    assert all(isinstance(key, Field) for key in EARLY_KEYS)
    assert [key.attribute for key in EARLY_KEYS] == ["flows", "counters"]


def test_in_a_function() -> None:
    class Local(Struct):
        packets: u64
        bytes: u64

    Alias = u64

    class Objects(BpfObjects):
        flows: HashMap[u32, Local]
        counters: bpfmodel.ArrayMap[Alias]

    assert Objects.check(MAPS) == ()
    assert isinstance(load(Objects, MAPS).flows, HashMap)


def test_in_a_method_in_a_class_in_a_function() -> None:
    class Tests:
        def run(self) -> type[BpfObjects]:
            Alias = u32

            class Objects(BpfObjects):
                u32_var: Var[Alias]

            return Objects

    assert Tests().run().check(SCALARS) == ()


def test_in_a_class_in_a_function() -> None:
    Alias = u32

    class Namespace:
        class Objects(BpfObjects):
            u32_var: Var[Alias]

    assert Namespace.Objects.check(SCALARS) == ()


def test_in_a_function_in_a_function() -> None:
    Alias = u32

    def inner(used: Any) -> type[BpfObjects]:
        class Objects(BpfObjects):
            u32_var: Var[Alias]

        return Objects

    # Only what the inner function itself refers to is within its reach; without that, it is as undefined as in `eval`.
    def closing() -> type[BpfObjects]:
        assert Alias is not None

        class Objects(BpfObjects):
            u32_var: Var[Alias]

        return Objects

    assert closing().check(SCALARS) == ()
    with pytest.raises(DeclarationError, match="Alias"):
        inner(None).check(SCALARS)


def test_parameters_are_names_of_the_scope() -> None:
    def make(kind: Any) -> type[BpfObjects]:
        class Objects(BpfObjects):
            u32_var: Var[kind]

        return Objects

    assert make(u32).check(SCALARS) == ()
    with pytest.raises(bpfmodel.MismatchError):
        make(u64).check(SCALARS)


def test_names_of_the_body_itself() -> None:
    class Objects(BpfObjects):
        class Inner(Struct):
            packets: u64
            bytes: u64

        class Part(BpfObjects):
            touch: Program

        Size: ClassVar[Any] = u64
        flows: HashMap[u32, Inner]
        counters: bpfmodel.ArrayMap[Size]
        part: Part

    assert Objects.check(MAPS) == ()
    with load(Objects, MAPS) as objs:
        objs.flows[1] = Objects.Inner(1, 2)
        assert objs.part.touch.name == "touch"


def test_a_name_defined_later_in_the_function() -> None:
    class Objects(BpfObjects):
        flows: HashMap[u32, Afterwards]

    class Afterwards(Struct):
        packets: u64
        bytes: u64

    assert Objects.check(MAPS) == ()


def test_inherited_fields_are_evaluated_where_they_were_written() -> None:
    module = types.ModuleType("elsewhere")
    module.__dict__.update(BpfObjects=BpfObjects, Var=Var, Word=u32)
    sys.modules["elsewhere"] = module
    try:
        exec("from __future__ import annotations\nclass Base(BpfObjects):\n    u32_var: Var[Word]\n", module.__dict__)
        Word = u8

        class Derived(module.Base):  # type: ignore[misc, name-defined]
            u8_var: Var[Word]

        assert Derived.check(SCALARS) == ()
    finally:
        del sys.modules["elsewhere"]


def test_a_field_named_like_its_type() -> None:
    class Objects(BpfObjects):
        u8: Var[u8] | None  # type: ignore[valid-type]

    class Late(BpfObjects):
        u8: Var[u8] | None  # type: ignore[valid-type]
        late: Var[LateAlias] | None  # type: ignore[name-defined]  # noqa: F821

    assert Objects.check(SCALARS) == ()
    globals()["LateAlias"] = u64
    try:
        assert Late.check(SCALARS) == ()
    finally:
        del globals()["LateAlias"]


def test_undefined_names_are_refused_at_first_use() -> None:
    class Objects(BpfObjects):
        u32_var: Var[Missing]  # type: ignore[name-defined]  # noqa: F821

    uses = [
        lambda: Objects.check(SCALARS),
        lambda: Objects.open(SCALARS),
        lambda: load(Objects),
        lambda: Objects.constants_model(),
    ]
    for use in uses:
        with pytest.raises(DeclarationError, match=r"Objects: an annotation names what is not defined: .*Missing"):
            use()


def test_names_for_static_checkers_only_are_undefined() -> None:
    class Objects(BpfObjects):
        u32_var: Var[Nothing]

    with pytest.raises(DeclarationError, match="Nothing"):
        Objects.check(SCALARS)


def test_undefined_names_in_a_struct_in_a_part() -> None:
    class Stats(Struct):
        packets: Missing  # type: ignore[name-defined]  # noqa: F821

    class Part(BpfObjects):
        flows: HashMap[u32, Stats]

    class Objects(BpfObjects):
        part: Part

    with pytest.raises(DeclarationError, match="Missing"):
        Objects.check(MAPS)


def test_undefined_attributes_of_modules() -> None:
    def declare_and_use() -> None:
        class Objects(BpfObjects):
            u32_var: Var[bpfmodel.no_such_type]  # type: ignore[name-defined]

        Objects.check(SCALARS)

    with pytest.raises(DeclarationError, match="no_such_type"):
        declare_and_use()


@pytest.mark.parametrize("text", ["Var[u32", "Var[u32, u32]", "u32.x.y"])
def test_annotations_that_cannot_be_evaluated(text: str) -> None:
    with pytest.raises(DeclarationError, match=r"Objects"):
        type("Objects", (BpfObjects,), {"__annotations__": {"x": text}, "__module__": __name__}).check(SCALARS)  # type: ignore[attr-defined]


def test_bad_annotations_are_refused_when_the_class_is_made() -> None:
    with pytest.raises(DeclarationError, match=r"Objects\.x: "):

        class Objects(BpfObjects):
            x: Var[CString[L[0]]]

    with pytest.raises(DeclarationError, match=r"Others\.first and .*Others\.second"):

        class Others(BpfObjects):
            first: Var[u32] = field(name="same")
            second: Var[u32] = field(name="same")


def test_rules_hold_at_first_use_as_well() -> None:
    class Hiding(BpfObjects):
        close: Var[LaterAlias]  # type: ignore[name-defined]  # noqa: F821

    class Doubled(BpfObjects):
        first: Var[LaterAlias] = field(name="same")  # type: ignore[name-defined]  # noqa: F821
        second: Var[u32] = field(name="same")

    class Valued(BpfObjects):
        first: Var[LaterAlias] = 5  # type: ignore[name-defined, assignment]  # noqa: F821

    globals()["LaterAlias"] = u32
    try:
        with pytest.raises(DeclarationError, match=r"Doubled\.first and .*Doubled\.second"):
            Doubled.check(SCALARS)
        with pytest.raises(DeclarationError, match=r"Valued\.first: a field takes no value"):
            Valued.check(SCALARS)
        with pytest.raises(DeclarationError, match=r"Hiding\.close would hide"):
            Hiding.check(SCALARS)
    finally:
        del globals()["LaterAlias"]


CYCLES = {
    "itself": "class A(BpfObjects):\n    part: A\n",
    "each other": "class A(BpfObjects):\n    part: B\nclass B(BpfObjects):\n    part: A\n",
    "three": (
        "class A(BpfObjects):\n    part: B\nclass B(BpfObjects):\n    part: C\n"
        "class C(BpfObjects):\n    x: Var[u32]\n    part: A\n"
    ),
}


@pytest.mark.parametrize("source", CYCLES.values(), ids=CYCLES)
def test_parts_that_contain_themselves(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("cycles")
    monkeypatch.setitem(sys.modules, "cycles", module)
    module.__dict__.update(BpfObjects=BpfObjects, Var=Var, u32=u32)
    code = f"from __future__ import annotations\n{source}A.check(SCALARS)\n"
    module.__dict__["SCALARS"] = SCALARS
    with pytest.raises(DeclarationError, match=r"\.part is a part that contains itself"):
        exec(code, module.__dict__)


def test_mangled_names_as_text() -> None:
    class Objects(BpfObjects):
        __number: Var[u32] = field(name="u32_var")

        def number(self) -> int:
            return self.__number.get()

    with load(Objects) as objs:
        assert objs.number() == 0xDEADBEEF


def test_metaclasses_written_in_python_are_stepped_over() -> None:
    import abc

    Word = u32

    class Base(BpfObjects, abc.ABC):
        u32_var: Var[Word]

    class Later(Base):
        u8_var: Var[u8] | None

    assert [declaration.attribute for declaration in flat(Later)] == ["u32_var", "u8_var"]
