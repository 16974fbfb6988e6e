"""What stands for a field: the key on the class, the handle on the object, and neither can be put elsewhere."""

import pytest
from support.data import testdata
from support.objects import ObjectBuilder

from bpfmodel import (
    ArrayMap,
    BpfObjects,
    CollectionSpec,
    Field,
    HashMap,
    MemoryEngine,
    Program,
    ReadOnlyError,
    Struct,
    Var,
    field,
    u8,
    u16,
    u32,
    u64,
)
from bpfmodel.handles.field import MapField, ProgramField

SCALARS = CollectionSpec.from_file(testdata("scalars"))


class Stats(Struct):
    packets: u64
    bytes: u64


def test_the_class_attribute_is_a_key() -> None:
    class Objects(BpfObjects):
        flows: HashMap[u32, Stats]
        counters: ArrayMap[u64]
        touch: Program
        number: Var[u32] | None = field(name="no_such")

    assert type(Objects.flows) is MapField
    assert type(Objects.counters) is MapField
    assert type(Objects.touch) is ProgramField
    assert type(Objects.number) is Field
    assert Objects.flows.owner is Objects
    assert Objects.flows.attribute == "flows"
    assert repr(Objects.touch).endswith("Objects.touch>")
    assert Objects.flows is Objects.flows


def test_a_key_says_where_the_handle_is() -> None:
    class Objects(BpfObjects):
        u32_var: Var[u32]

    with pytest.raises(AttributeError, match=r"Objects\.u32_var is the key of a field, and has no get; handles are on"):
        Objects.u32_var.get()  # type: ignore[attr-defined]


def test_calling_the_class_is_refused() -> None:
    class Objects(BpfObjects):
        u32_var: Var[u32]

    with pytest.raises(TypeError, match=r"use Objects\.load_and_assign\(source\)"):
        Objects()
    with pytest.raises(TypeError, match="load_and_assign"):
        Objects("x", y=1)


@pytest.mark.parametrize("attribute", ["u32_var", "flow", "part"])
def test_assignment_to_a_field_is_refused(attribute: str) -> None:
    class Part(BpfObjects):
        u8_var: Var[u8]

    class Objects(BpfObjects):
        u32_var: Var[u32]
        flow: HashMap[u32, u32] | None
        part: Part

    with Objects.load_and_assign(SCALARS, engine=MemoryEngine()) as objs:
        before = getattr(objs, attribute)
        with pytest.raises(ReadOnlyError, match=rf"Objects\.{attribute} is a handle .* call \.set\(value\)"):
            setattr(objs, attribute, 5)
        assert getattr(objs, attribute) is before


def test_deleting_a_field_is_refused() -> None:
    class Objects(BpfObjects):
        u32_var: Var[u32]

    with Objects.load_and_assign(SCALARS, engine=MemoryEngine()) as objs:
        with pytest.raises(ReadOnlyError):
            del objs.u32_var
        assert objs.u32_var.get() == 0xDEADBEEF


def test_assignment_to_an_inherited_field_is_refused() -> None:
    class Base(BpfObjects):
        u32_var: Var[u32]

    class Derived(Base):
        u8_var: Var[u8]

    with (
        Derived.load_and_assign(SCALARS, engine=MemoryEngine()) as objs,
        pytest.raises(ReadOnlyError, match=r"Derived\.u32_var"),
    ):
        objs.u32_var = 5  # type: ignore[assignment]


def test_names_that_python_mangles() -> None:
    class Objects(BpfObjects):
        __count: Var[u32] = field(name="u32_var")
        __u8: Var[u8] | None

        def count(self) -> int:
            return self.__count.get()

        def other(self) -> object:
            return self.__u8

        @classmethod
        def key(cls) -> Field[int]:
            return cls.__count

    class Derived(Objects):
        u16_var: Var[u16]

    with Derived.load_and_assign(SCALARS, engine=MemoryEngine()) as objs:
        assert objs.count() == 0xDEADBEEF
        assert objs.other() is None
        assert getattr(objs, "__count").get() == 0xDEADBEEF
    assert getattr(Objects, "__count").attribute == "__count"


def test_the_key_of_a_mangled_name_inside_methods() -> None:
    class Objects(BpfObjects):
        __count: Var[u32] = field(name="u32_var")

        @classmethod
        def key(cls) -> Field[int]:
            return cls.__count

    opened = Objects.open(SCALARS).set(Objects.key(), 7)
    assert opened.spec.variables["u32_var"].get() == 7


def test_a_mangled_name_is_the_c_name() -> None:
    builder = ObjectBuilder()
    builder.variable("__count", builder.btf.common("__u32"), 4, initial=b"\7\0\0\0")

    class _Objects(BpfObjects):
        __count: Var[u32]

    with _Objects.load_and_assign(builder.build(), engine=MemoryEngine()) as objs:
        assert getattr(objs, "__count").get() == 7
