"""Fields that are classes of objects themselves: parts, which are descended into."""

from typing import Annotated  # fmt: skip
from typing import Literal as L

import pytest
from support.data import testdata

from bpfmodel import (
    ArrayMap,
    BpfObjects,
    CollectionSpec,
    Const,
    CString,
    DeclarationError,
    HashMap,
    MemoryEngine,
    MismatchError,
    Program,
    Var,
    field,
    u8,
    u16,
    u32,
    u64,
)

SCALARS = CollectionSpec.from_file(testdata("scalars"))


class Numbers(BpfObjects):
    u8_var: Var[u8]
    wide: Var[u64] = field(name="u64_var")


class Texts(BpfObjects):
    msg: Var[CString[L[13]]]
    numbers: Numbers


class Objects(BpfObjects):
    u32_var: Var[u32]
    texts: Texts
    sum: Program


def test_parts_are_filled() -> None:
    with Objects.load_and_assign(SCALARS, engine=MemoryEngine()) as objs:
        assert type(objs.texts) is Texts
        assert type(objs.texts.numbers) is Numbers
        assert objs.texts.msg.get() == "Hello World!"
        assert objs.texts.numbers.wide.get() == 0x0123456789ABCDEF
        assert objs.texts.numbers.wide.name == "u64_var"


def test_a_part_works_alone() -> None:
    with Texts.load_and_assign(SCALARS, engine=MemoryEngine()) as texts:
        assert texts.numbers.u8_var.get() == 200


def test_findings_of_parts_have_their_path() -> None:
    class Wrong(BpfObjects):
        u8_var: Var[u16]

    class Middle(BpfObjects):
        wrong: Wrong

    class Top(BpfObjects):
        middle: Middle

    with pytest.raises(MismatchError) as caught:
        Top.check(SCALARS)
    assert [finding.path for finding in caught.value.findings] == ["middle.wrong.u8_var"]


def test_the_same_object_in_two_parts_is_refused() -> None:
    class Left(BpfObjects):
        one: Var[u32] = field(name="count")

    class Right(BpfObjects):
        two: Var[u32] = field(name="count")

    with pytest.raises(DeclarationError) as caught:

        class Both(BpfObjects):
            left: Left
            right: Right

    assert "Both.left.one" in str(caught.value)
    assert "Both.right.two both declare the variable count" in str(caught.value)


def test_the_same_object_in_a_part_and_beside_it_is_refused() -> None:
    with pytest.raises(DeclarationError) as caught:

        class Both(BpfObjects):
            texts: Texts
            again: Var[u8] = field(name="u8_var")

    assert "Both.texts.numbers.u8_var" in str(caught.value)
    assert "Both.again" in str(caught.value)


def test_one_part_twice_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"Both\.a\.u8_var and .*Both\.b\.u8_var"):

        class Both(BpfObjects):
            a: Numbers
            b: Numbers


def test_a_part_and_an_inherited_field_are_refused() -> None:
    class Base(BpfObjects):
        mine: Var[u8] = field(name="u8_var")

    with pytest.raises(DeclarationError, match=r"Derived\.mine and .*Derived\.part\.u8_var"):

        class Derived(Base):
            part: Numbers


def test_optional_members_of_parts() -> None:
    class Part(BpfObjects):
        nothing: HashMap[u32, u32] | None
        u8_var: Var[u8] | None

    class Whole(BpfObjects):
        part: Part

    with Whole.load_and_assign(SCALARS, engine=MemoryEngine()) as objs:
        assert objs.part.nothing is None
        assert objs.part.u8_var is not None


def test_parts_are_neither_optional_nor_renamed() -> None:
    with pytest.raises(DeclarationError, match=r"Whole\.part: a part is neither optional nor renamed"):

        class Whole(BpfObjects):
            part: Numbers | None

    with pytest.raises(DeclarationError, match=r"Whole2\.part: a part is neither optional nor renamed"):

        class Whole2(BpfObjects):
            part: Numbers = field(name="x")


def test_a_class_of_no_fields_as_a_part() -> None:
    class Empty(BpfObjects):
        pass

    class Whole(BpfObjects):
        part: Empty

    with Whole.load_and_assign(SCALARS, engine=MemoryEngine()) as objs:
        assert type(objs.part) is Empty


def test_parts_are_inherited() -> None:
    class Derived(Objects):
        u16_var: Var[u16]

    with Derived.load_and_assign(SCALARS, engine=MemoryEngine()) as objs:
        assert objs.texts.numbers.u8_var.get() == 200
        assert objs.u16_var.get() == 0xBEEF


def test_a_part_declared_anew_in_a_subclass() -> None:
    class Smaller(BpfObjects):
        msg: Var[CString[L[13]]]

    class Derived(Objects):
        texts: Smaller  # type: ignore[assignment]
        u8_var: Var[u8]

    with Derived.load_and_assign(SCALARS, engine=MemoryEngine()) as objs:
        assert type(objs.texts) is Smaller
        assert objs.texts.msg.get() == "Hello World!"


def test_the_class_attribute_of_a_part_leads_to_its_keys() -> None:
    # The keys of a part are those of its own class.
    opened = Objects.open(SCALARS).set(Texts.msg, "hi").set(Numbers.wide, 9)
    assert opened.spec.variables["msg"].get() == "hi"
    assert opened.get(Numbers.wide) == 9
    assert repr(Objects.texts).endswith("Objects.texts>")


def test_annotated_parts() -> None:
    class Whole(BpfObjects):
        part: Annotated[Numbers, "the numbers"]

    with Whole.load_and_assign(SCALARS, engine=MemoryEngine()) as objs:
        assert objs.part.u8_var.get() == 200


def test_parts_keep_their_own_methods() -> None:
    class Limits(BpfObjects):
        ro_u8: Const[u8]

        def doubled(self) -> int:
            return 2 * self.ro_u8.get()

    class Whole(BpfObjects):
        limits: Limits
        u8_var: Var[u8]

    with Whole.load_and_assign(SCALARS, constants={"ro_u8": 4}, engine=MemoryEngine()) as objs:
        assert objs.limits.doubled() == 8


def test_parts_hold_maps_and_programs() -> None:
    class Part(BpfObjects):
        counters: ArrayMap[u64]
        touch: Program

    class Whole(BpfObjects):
        part: Part

    with Whole.load_and_assign(testdata("maps"), engine=MemoryEngine()) as objs:
        objs.part.counters[3] = 9
        assert objs.part.counters[3] == 9
        assert objs.part.touch.name == "touch"
