"""What a class body declares, and what the class then holds. Annotations here are evaluated by Python itself."""

import enum
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar  # fmt: skip
from typing import Literal as L

import pytest
from support.data import testdata

from bpfmodel import (
    XDP,
    Array,
    ArrayMap,
    BpfObjects,
    Bytes,
    CollectionSpec,
    Const,
    CString,
    Field,
    HashMap,
    MemoryEngine,
    Program,
    Struct,
    Var,
    boolean,
    f64,
    field,
    pointer,
    s8,
    u8,
    u16,
    u32,
    u64,
    u128,
)


class Mode(enum.IntEnum):
    MODE_OFF = 0
    MODE_ON = 1
    MODE_AUTO = 7


class Tiny(enum.IntEnum):
    TINY_A = 1
    TINY_B = 2


class Stats(Struct):
    packets: u64
    bytes: u64


SCALARS = CollectionSpec.from_file(testdata("scalars"))
MAPS = CollectionSpec.from_file(testdata("maps"))
VISIBILITY = CollectionSpec.from_file(testdata("visibility"))


def test_every_annotation_of_the_design_is_understood() -> None:
    class Objects(BpfObjects):
        u8_var: Var[u8]
        u64_var: Var[u64]
        u128_var: Var[u128]
        s8_var: Var[s8]
        bool_var: Var[boolean]
        bool_zero: Var[bool]
        double_var: Var[f64]
        mode_var: Var[Mode]
        tiny_var: Var[Annotated[Tiny, u8]]
        msg: Var[CString[L[13]]]
        mac: Var[Bytes[L[6]]]
        arr: Var[Array[u32, L[4]]]
        matrix: Var[Array[Array[u64, L[3]], L[2]]]
        flags: Var[Array[bool, L[3]]]
        ptr_var: Var[pointer]
        ro_u16: Const[u16]
        u32_var: Var[int]
        float_var: Var[float]
        msg_zero: Var[str]
        stats: Var[bytes]
        arr_zero: Var[list]  # type: ignore[type-arg]
        nested: Var[Any]
        sum: Program

    assert Objects.check(SCALARS) == ()


def test_a_program_of_any_kind() -> None:
    class Objects(BpfObjects):
        sum: Program
        bump: Program[Any]  # what static checkers make of a plain Program

    assert Objects.check(SCALARS) == ()


def test_the_attribute_is_the_c_name() -> None:
    class Objects(BpfObjects):
        u32_var: Var[u32]

    with Objects.load_and_assign(SCALARS, engine=MemoryEngine()) as objs:
        assert objs.u32_var.name == "u32_var"
        assert objs.u32_var.get() == 0xDEADBEEF


def test_field_renames_variables_maps_and_programs() -> None:
    class Objects(BpfObjects):
        total: HashMap[u32, Stats] = field(name="flows")
        each: ArrayMap[u64] = field(name="counters")
        first: Program = field(name="touch")

    with Objects.load_and_assign(MAPS, engine=MemoryEngine()) as objs:
        assert (objs.total.name, objs.each.name, objs.first.name) == ("flows", "counters", "touch")
        assert not hasattr(objs, "flows")

    class Renamed(BpfObjects):
        number: Var[u32] = field(name="u32_var")
        u32_var: Var[u8] = field(name="u8_var")

    with Renamed.load_and_assign(SCALARS, engine=MemoryEngine()) as renamed:
        assert (renamed.number.get(), renamed.u32_var.get()) == (0xDEADBEEF, 200)


def test_field_takes_its_name_by_keyword_only() -> None:
    with pytest.raises(TypeError):
        field("c_name")  # type: ignore[misc]


def test_optional_members_are_none_where_missing() -> None:
    class Objects(BpfObjects):
        u32_var: Var[u32] | None
        no_var: Var[u32] | None
        no_const: None | Const[u32]  # noqa: RUF036
        no_map: HashMap[u32, u32] | None
        no_program: Program | None
        no_kind: Program[XDP] | None = field(name="missing")

    assert Objects.check(SCALARS) == ()
    with Objects.load_and_assign(SCALARS, engine=MemoryEngine()) as objs:
        assert objs.u32_var is not None
        assert objs.u32_var.get() == 0xDEADBEEF
        assert [objs.no_var, objs.no_const, objs.no_map, objs.no_program, objs.no_kind] == [None] * 5


def test_optional_is_spelt_in_every_way() -> None:
    from typing import Optional, Union

    class Objects(BpfObjects):
        a: Optional[Var[u32]]  # noqa: UP045
        b: Union[None, Var[u32]]  # noqa: UP007, RUF036

    with Objects.load_and_assign(SCALARS, engine=MemoryEngine()) as objs:
        assert objs.a is None
        assert objs.b is None


def test_annotated_around_a_handle_says_nothing() -> None:
    class Objects(BpfObjects):
        u32_var: Annotated[Var[u32], "a comment"]

    assert Objects.check(SCALARS) == ()


def test_inheritance_composes() -> None:
    class Base(BpfObjects):
        u8_var: Var[u8]

    class Derived(Base):
        u16_var: Var[u16]

    class Other(BpfObjects):
        u32_var: Var[u32]

    class All(Derived, Other):
        u64_var: Var[u64]

    with All.load_and_assign(SCALARS, engine=MemoryEngine()) as objs:
        assert isinstance(objs, Base)
        values = [objs.u8_var.get(), objs.u16_var.get(), objs.u32_var.get(), objs.u64_var.get()]
    assert values == [200, 0xBEEF, 0xDEADBEEF, 0x0123456789ABCDEF]
    assert isinstance(All.u8_var, Field)
    assert isinstance(All.u32_var, Field)


def test_plain_mixins_may_come_along() -> None:
    class Doubling:
        def doubled(self) -> int:
            return 2 * int(self.u8_var.get())  # type: ignore[attr-defined]

    class Objects(Doubling, BpfObjects):
        u8_var: Var[u8]

    with Objects.load_and_assign(SCALARS, engine=MemoryEngine()) as objs:
        assert objs.doubled() == 400


def test_annotations_of_a_plain_mixin_declare_nothing() -> None:
    class Mixin:
        whatever: int

    class Objects(Mixin, BpfObjects):
        u8_var: Var[u8]

    assert Objects.check(SCALARS) == ()


def test_a_subclass_may_declare_a_field_anew() -> None:
    class Base(BpfObjects):
        u32_var: Var[u8]

    class Derived(Base):
        u32_var: Var[u32]

    assert Derived.check(SCALARS) == ()
    assert Derived.u32_var.owner is Derived
    assert Base.u32_var.owner is Base


def test_a_subclass_without_a_body_declares_the_same() -> None:
    class Base(BpfObjects):
        u32_var: Var[u32]

    class Derived(Base):
        pass

    with Derived.load_and_assign(SCALARS, engine=MemoryEngine()) as objs:
        assert type(objs) is Derived
        assert objs.u32_var.get() == 0xDEADBEEF


def test_the_same_c_name_for_a_program_and_a_map() -> None:
    class Objects(BpfObjects):
        flow_map: HashMap[u32, u32] | None = field(name="same")
        flow_program: Program | None = field(name="same")
        flow_count: Var[u32] | None = field(name="same")

    assert Objects.check(SCALARS) == ()


def test_class_variables_declare_nothing() -> None:
    class Objects(BpfObjects):
        VERSION: ClassVar[int] = 3
        bare: ClassVar = "x"  # type: ignore[misc]
        u32_var: Var[u32]

    assert Objects.VERSION == 3
    assert Objects.bare == "x"
    assert Objects.check(SCALARS) == ()
    with Objects.load_and_assign(SCALARS, engine=MemoryEngine()) as objs:
        assert (objs.VERSION, objs.bare) == (3, "x")


def test_what_is_not_annotated_is_the_users() -> None:
    class Objects(BpfObjects):
        limit = 5
        u32_var: Var[u32]

        def __iter__(self) -> Iterator[int]:
            yield self.u32_var.get()

        @property
        def low(self) -> int:
            return self.u32_var.get() & 0xFF

        @classmethod
        def make(cls) -> "Objects":
            return cls.load_and_assign(SCALARS, engine=MemoryEngine())

    with Objects.make() as objs:
        assert list(objs) == [0xDEADBEEF]
        assert objs.low == 0xEF
        assert objs.limit == 5
        objs.limit = 6
        objs.note = "mine"  # type: ignore[attr-defined]
        assert (objs.limit, objs.note, Objects.limit) == (6, "mine", 5)  # type: ignore[attr-defined]


def test_an_empty_class_declares_nothing() -> None:
    class Objects(BpfObjects):
        pass

    assert Objects.check(SCALARS) == ()
    with Objects.load_and_assign(SCALARS, engine=MemoryEngine()) as objs:
        assert not objs.closed


def test_an_alias_of_the_users_own() -> None:
    from typing_extensions import TypeAliasType

    Counter = TypeAliasType("Counter", u64)
    Name = CString[L[13]]

    class Objects(BpfObjects):
        u64_var: Var[Counter]  # type: ignore[valid-type]
        msg: Var[Name]

    assert Objects.check(SCALARS) == ()
