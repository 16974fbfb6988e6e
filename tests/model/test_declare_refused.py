"""Class bodies that are refused, when the class is made, with a message that names the class and the field."""

import enum
from typing import Annotated, Any, TypeVar  # fmt: skip
from typing import Literal as L

import pytest

from bpfmodel import (
    Array,
    ArrayMap,
    Bits,
    BpfModelError,
    BpfObjects,
    Bytes,
    Const,
    CString,
    DeclarationError,
    HashMap,
    Program,
    Struct,
    Var,
    field,
    u8,
    u32,
    u64,
)

T = TypeVar("T")


class Plain:
    pass


class Text(enum.Enum):
    A = "a"


class Big(enum.IntEnum):
    A = 256


class Packet(Struct):
    size: u32


def refused(annotation: Any, **body: Any) -> str:
    """Declare `x` with an annotation, and return why it was refused."""
    with pytest.raises(DeclarationError) as caught:
        type("Objects", (BpfObjects,), {"__annotations__": {"x": annotation}, **body})
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, BpfModelError)
    assert str(caught.value).startswith("Objects.x")
    return str(caught.value)


UNKNOWN = [
    int, str, None, Plain, Plain(), list[int], dict[str, int], Any, T, Struct, Packet,
    Var[u32] | HashMap[u32, u32], Var[u32] | Const[u32] | None, tuple[Var[u32], ...], list[Var[u32]], Annotated[int, 5], L[5],
    CString[L[5]], type[Var[u32]],
]  # fmt: skip


@pytest.mark.parametrize("annotation", UNKNOWN, ids=str)
def test_annotations_that_declare_nothing(annotation: Any) -> None:
    assert "is nothing an object holds; use Var[…], Const[…], Program, a kind of map" in refused(annotation)


def test_a_value_type_alone_says_what_to_write() -> None:
    assert refused(u32) == "Objects.x: u32 says what a value is, not where: write Var[u32] or Const[u32]"


def test_an_assignment_is_no_annotation() -> None:
    with pytest.raises(DeclarationError, match=r"Objects.x: a field is an annotation: write x: …, and not x = …"):
        type("Objects", (BpfObjects,), {"x": Var[u32]})
    with pytest.raises(DeclarationError, match=r"field\(name=…\) takes the C name as text, and not 5"):
        type("Objects", (BpfObjects,), {"__annotations__": {"x": Var[u32]}, "x": field(name=5)})  # type: ignore[arg-type]


def test_the_base_itself_declares_nothing() -> None:
    with pytest.raises(DeclarationError, match="BpfObjects declares nothing"):
        BpfObjects.check(b"")


VALUES = [
    Plain, T, complex, object, None, set[int], list[int], dict[str, int], tuple[int, int], int | None, L[5], Var[u32], type,
    Text, bytearray, Array[Plain, L[3]], Array[int, L[3]], Array[Any, L[3]], Array[str, L[3]], Bits[u8, L[3]],
    Annotated[Big, u8],
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=str)
@pytest.mark.parametrize("handle", [Var, Const, ArrayMap], ids=lambda handle: handle.__name__)
def test_values_without_a_c_type(handle: Any, value: Any) -> None:
    assert refused(handle[value])


@pytest.mark.parametrize("value", VALUES, ids=str)
def test_keys_and_values_of_maps_without_a_c_type(value: Any) -> None:
    assert refused(HashMap[value, u32])
    assert refused(HashMap[u32, value])


def test_the_message_names_the_value_type() -> None:
    assert refused(Var[Plain]) == "Objects.x: Plain is no value type: use u32, CString[L[n]], a Struct class, …"
    assert "the elements of an Array need a C type" in refused(Var[Array[int, L[3]]])
    assert "Text is no integer enum: derive it from IntEnum or IntFlag" in refused(Var[Text])
    assert "Big: members from 256 to 256 do not fit into 1 bytes" in refused(Var[Annotated[Big, u8]])
    assert "lives inside a Struct only" in refused(Var[Bits[u8, L[3]]])
    assert "such as Array[u32, L[4]]" in refused(Var[list[int]])


LENGTHS = [L[0], L[-1], L["4"], L[True], L[4, 5], L[None], 4, int, T, None]


@pytest.mark.parametrize("length", LENGTHS, ids=str)
@pytest.mark.parametrize("container", [CString, Bytes], ids=str)
def test_bad_lengths(container: Any, length: Any) -> None:
    assert "the length is a positive integer, as in CString[L[16]]" in refused(Var[container[length]])


@pytest.mark.parametrize("length", LENGTHS, ids=str)
def test_bad_lengths_of_arrays(length: Any) -> None:
    assert "the length is a positive integer" in refused(Var[Array[u32, length]])
    assert "the length is a positive integer" in refused(Var[Array[Array[u32, length], L[2]]])


@pytest.mark.parametrize("container", [CString, Bytes, Array], ids=str)
def test_containers_without_a_length(container: Any) -> None:
    assert refused(Var[container])


def test_wrong_numbers_of_types() -> None:
    assert "Var takes 1 type, as in Var[u32]" in refused(Var)
    assert "Const takes 1 type" in refused(Const)
    assert "HashMap takes 2 types, as in HashMap[u32, u64]" in refused(HashMap)
    assert "ArrayMap takes 1 type, as in ArrayMap[u64]" in refused(ArrayMap)


@pytest.mark.parametrize("kind", [u32, int, Plain, BpfObjects], ids=str)
def test_unknown_kinds_of_programs(kind: Any) -> None:
    assert refused(Program[kind])


@pytest.mark.parametrize("default", [5, "x", Plain(), 0, False, "", lambda: 5, property(lambda self: 5)], ids=str)
def test_a_field_takes_no_value(default: Any) -> None:
    assert refused(Var[u32], x=default) == (
        "Objects.x: a field takes no value; its handle is made at load, and field(name=…) renames"
    )


def test_a_field_takes_no_none() -> None:
    assert "a field takes no value" in refused(Var[u32], x=None)


@pytest.mark.parametrize(
    "name",
    ["check", "open", "load_and_assign", "constants_model", "close", "closed", "__enter__", "__exit__", "__repr__"],
)
def test_a_field_may_not_hide_a_method(name: str) -> None:
    with pytest.raises(DeclarationError, match=rf"Objects\.{name} would hide BpfObjects\.{name}") as caught:
        type("Objects", (BpfObjects,), {"__annotations__": {name: Var[u32]}})
    assert f'{name.strip("_")}_: … = field(name="{name}")' in str(caught.value)


@pytest.mark.parametrize("name", ["close", "open"])
def test_a_field_renamed_away_from_a_method(name: str) -> None:
    namespace = {"__annotations__": {f"{name}_": Var[u32] | None}, f"{name}_": field(name=name)}
    objects = type("Objects", (BpfObjects,), namespace)
    assert objects.__dict__[f"{name}_"].attribute == f"{name}_"
    assert getattr(objects, name) is not objects.__dict__[f"{name}_"]


def test_a_field_of_a_subclass_may_not_hide_a_method_either() -> None:
    class Base(BpfObjects):
        a: Var[u32]

    with pytest.raises(DeclarationError, match=r"Derived\.check would hide"):

        class Derived(Base):
            check: Var[u32]  # type: ignore[assignment]


def test_two_fields_for_one_variable() -> None:
    with pytest.raises(DeclarationError) as caught:

        class Objects(BpfObjects):
            first: Var[u32] = field(name="count")
            second: Const[u64] = field(name="count")

    assert "Objects.first and " in str(caught.value)
    assert "Objects.second both declare the variable count; one object has one field" in str(caught.value)


@pytest.mark.parametrize("handle", [HashMap[u32, u32], Program, Const[u8]], ids=str)
def test_two_fields_for_one_object_of_any_kind(handle: Any) -> None:
    namespace = {"__annotations__": {"first": handle, "second": handle | None}}
    with pytest.raises(DeclarationError, match=r"Objects\.first and Objects\.second both declare .* same"):
        type("Objects", (BpfObjects,), {**namespace, "first": field(name="same"), "second": field(name="same")})


def test_two_kinds_of_maps_for_one_map() -> None:
    with pytest.raises(DeclarationError, match="both declare the map counts"):

        class Objects(BpfObjects):
            counts: ArrayMap[u32]
            again: HashMap[u32, u32] = field(name="counts")


def test_a_field_and_one_it_is_renamed_to() -> None:
    with pytest.raises(DeclarationError, match="both declare the variable count"):

        class Objects(BpfObjects):
            count: Var[u32]
            other: Var[u32] = field(name="count")


def test_a_field_and_an_inherited_one() -> None:
    class Base(BpfObjects):
        first: Var[u32] = field(name="count")

    with pytest.raises(DeclarationError) as caught:

        class Derived(Base):
            second: Var[u32] = field(name="count")

    assert "Derived.first and " in str(caught.value)
    assert "Derived.second both declare the variable count" in str(caught.value)


def test_fields_of_two_bases() -> None:
    class Left(BpfObjects):
        left: Var[u32] = field(name="count")

    class Right(BpfObjects):
        right: Var[u32] = field(name="count")

    with pytest.raises(DeclarationError) as caught:

        class Both(Left, Right):
            pass

    assert "Both.left" in str(caught.value)
    assert "Both.right" in str(caught.value)


def test_one_base_reached_twice_is_one_field() -> None:
    class Root(BpfObjects):
        count: Var[u32]

    class Left(Root):
        left: Var[u32]

    class Right(Root):
        right: Var[u32]

    class Both(Left, Right):
        pass

    assert Both.count is Root.count


def test_enums_and_structs_are_looked_into() -> None:
    with pytest.raises(DeclarationError, match=r"Bad\.inside"):

        class Bad(Struct):
            inside: Plain  # type: ignore[misc]


def test_nothing_is_left_of_a_refused_class() -> None:
    class Base(BpfObjects):
        count: Var[u32]

    with pytest.raises(DeclarationError):

        class Derived(Base):
            count: Var[Plain]  # type: ignore[assignment]

    assert Base.count.owner is Base
