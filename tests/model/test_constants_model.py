"""The pydantic model of a class's constants: what it takes from JSON and environments, and what it refuses."""

import enum
import json
import warnings
from typing import Annotated, Any  # fmt: skip
from typing import Literal as L

import pydantic
import pytest
from support.data import testdata

from bpfmodel import (
    Array,
    BpfObjects,
    Bytes,
    CollectionSpec,
    Const,
    ConstantError,
    CString,
    DeclarationError,
    MemoryEngine,
    Struct,
    Var,
    f32,
    field,
    s8,
    u8,
    u16,
    u32,
    u64,
    u128,
)

# Some of these constants are used by no program, which is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore::bpfmodel.FoldedConstantWarning")

SCALARS = CollectionSpec.from_file(testdata("scalars"))


class Mode(enum.IntEnum):
    MODE_OFF = 0
    MODE_ON = 1
    MODE_AUTO = 7


class Stats(Struct):
    packets: u64
    bytes: u64
    drops: u32
    mode: u8


class Part(BpfObjects):
    ro_u16: Const[u16]


class Objects(BpfObjects):
    ro_u8: Const[u8]
    ro_s8: Const[s8]
    ro_u128: Const[u128]
    limit: Const[u32] = field(name="ro_u32")
    ro_name: Const[CString[L[16]]]
    ro_mac: Const[Bytes[L[6]]]
    ro_arr: Const[Array[u32, L[4]]]
    ro_stats: Const[Stats]
    ro_bool: Const[bool]
    ro_float: Const[f32]
    ro_double: Const[float]
    ro_mode: Const[Mode]
    ro_s16: Const[int]
    u32_var: Var[u32]
    part: Part
    nothing: Const[u32] | None


Model: Any = Objects.constants_model()


def load(constants: Any) -> Objects:
    return Objects.load_and_assign(SCALARS, constants=constants, engine=MemoryEngine())


def locations(error: pydantic.ValidationError) -> set[Any]:
    return {item["loc"][0] for item in error.errors()}


def test_the_model_has_the_constants_by_attribute() -> None:
    assert issubclass(Model, pydantic.BaseModel)
    assert Model.__name__ == "ObjectsConstants"
    assert set(Model.model_fields) == set(Objects.__annotations__) - {"u32_var", "part"} | {"part__ro_u16"}


def test_nothing_is_required() -> None:
    with load(Model()) as objs:
        assert objs.ro_u8.get() == 250
        assert objs.part.ro_u16.get() == 60000


def test_what_was_set_is_rewritten() -> None:
    with load(Model(ro_u8=1, limit=2, ro_name="eth1", part__ro_u16=3, ro_stats=Stats(1, 2, 3, 5))) as objs:
        assert (objs.ro_u8.get(), objs.limit.get(), objs.ro_name.get()) == (1, 2, "eth1")
        assert objs.part.ro_u16.get() == 3
        assert objs.ro_stats.get() == Stats(1, 2, 3, 5)
        assert objs.ro_s8.get() == -8


def test_from_json() -> None:
    text = json.dumps(
        {
            "ro_u8": 1,
            "limit": 4294967295,
            "ro_name": "eth1",
            "ro_mac": "61:62:63:64:65:66",
            "ro_arr": [4, 3, 2, 1],
            "ro_stats": {"packets": 9, "bytes": 8, "drops": 7, "mode": 6},
            "ro_bool": False,
            "ro_float": 1.5,
            "ro_double": 2.5,
            "ro_mode": 1,
            "ro_s16": -5,
            "part__ro_u16": 6,
        }
    )
    with load(Model.model_validate_json(text)) as objs:
        assert objs.limit.get() == 4294967295
        assert objs.ro_mac.get() == b"abcdef"
        assert objs.ro_arr.get() == [4, 3, 2, 1]
        assert objs.ro_stats.get() == Stats(9, 8, 7, 6)
        assert objs.ro_bool.get() is False
        assert (objs.ro_float.get(), objs.ro_double.get()) == (1.5, 2.5)
        assert objs.ro_mode.get() is Mode.MODE_ON
        assert (objs.ro_s16.get(), objs.part.ro_u16.get()) == (-5, 6)


def test_from_an_environment() -> None:
    environment = {
        "ro_u8": "5",
        "limit": "70000",
        "ro_bool": "true",
        "ro_name": "eth1",
        "ro_double": "1e5",
        "ro_s16": "-1",
    }
    with load(Model.model_validate(environment)) as objs:
        assert (objs.ro_u8.get(), objs.limit.get(), objs.ro_bool.get()) == (5, 70000, True)
        assert (objs.ro_name.get(), objs.ro_double.get(), objs.ro_s16.get()) == ("eth1", 1e5, -1)


def test_back_to_json() -> None:
    made = Model(ro_u8=1, ro_stats=Stats(1, 2, 3, 4), ro_mode=Mode.MODE_ON, ro_arr=[1, 2, 3, 4], ro_name="eth1")
    text = made.model_dump_json(exclude_unset=True)
    assert json.loads(text)["ro_stats"] == {"packets": 1, "bytes": 2, "drops": 3, "mode": 4}
    assert Model.model_validate_json(text) == made


def test_bytes_that_are_no_text_go_to_json_and_back() -> None:
    made = Model(ro_mac=bytes.fromhex("0242AC110001"))
    assert Model.model_validate_json(made.model_dump_json(exclude_unset=True)) == made


BAD = [
    ("ro_u8", 256), ("ro_u8", -1), ("ro_u8", "x"), ("ro_u8", 1.5), ("ro_s8", 128), ("ro_s8", -129), ("ro_u128", 1 << 128),
    ("limit", 1 << 32), ("ro_name", "x" * 17), ("ro_name", "é" * 9), ("ro_name", "a\0b"), ("ro_name", 5), ("ro_mac", b"12345"),
    ("ro_mac", b"1234567"), ("ro_arr", [1, 2, 3]), ("ro_arr", [1, 2, 3, 4, 5]), ("ro_arr", [1, 2, 3, 1 << 32]), ("ro_arr", 5),
    ("ro_stats", {"packets": 1}), ("ro_stats", {"packets": 1, "bytes": 2, "drops": 3, "mode": 256}), ("ro_stats", 5),
    ("ro_stats", {"packets": 1, "bytes": 2, "drops": 3, "mode": 4, "more": 5}), ("ro_bool", 2), ("ro_float", 1e300),
    ("ro_float", "x"), ("ro_mode", 3), ("part__ro_u16", 65536), ("no_such", 1), ("u32_var", 1), ("ro_u32", 1), ("ro_u16", 1),
    ("part", {"ro_u16": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BAD, ids=repr)
def test_refused(name: str, value: Any) -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        Model(**{name: value})
    assert locations(caught.value) == {name}


BOUNDS = [
    ("ro_u8", 0), ("ro_u8", 255), ("ro_s8", -128), ("ro_s8", 127), ("ro_u128", (1 << 128) - 1), ("limit", (1 << 32) - 1),
    ("ro_name", ""), ("ro_name", "x" * 16), ("ro_name", "é" * 8), ("ro_mac", bytes(6)), ("ro_arr", [0, 0, 0, (1 << 32) - 1]),
    ("ro_float", 3.0e38), ("part__ro_u16", 65535),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), BOUNDS, ids=repr)
def test_the_bounds_themselves_are_taken(name: str, value: Any) -> None:
    made = Model(**{name: value})
    assert getattr(made, name) == value
    load(made).close()


def test_everything_wrong_is_listed() -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        Model.model_validate_json('{"ro_u8": 256, "ro_name": "12345678901234567", "extra": 1}')
    assert locations(caught.value) == {"ro_u8", "ro_name", "extra"}


def test_a_bad_member_in_json_is_one_error_with_its_path() -> None:
    with pytest.raises(pydantic.ValidationError) as caught:
        Model.model_validate_json('{"ro_stats": {"packets": -1, "bytes": 2, "drops": 3, "mode": 4}}')
    assert "isinstance" not in str(caught.value)
    (error,) = caught.value.errors()
    assert error["loc"][0] == "ro_stats"
    assert error["loc"][-1] == "packets"


def test_loose_constants_are_checked_by_the_object() -> None:
    with pytest.raises(ConstantError, match=r"ro_s16: 32768 is out of range for __s16"):
        load(Model(ro_s16=32768))


def test_a_set_constant_that_the_object_lacks_is_refused() -> None:
    with pytest.raises(ConstantError, match="nothing: no such constant"):
        load(Model(nothing=5))


@pytest.mark.parametrize("name", ["nothing", "ro_u8"])
def test_none_means_not_set(name: str) -> None:
    with load(Model(**{name: None})) as objs:
        assert objs.ro_u8.get() == 250


def test_assigned_attributes_count() -> None:
    made = Model()
    made.ro_u8 = 9
    with load(made) as objs:
        assert objs.ro_u8.get() == 9


def test_the_model_of_another_class_with_the_same_names() -> None:
    class Other(BpfObjects):
        ro_u8: Const[u8]

    with load(Other.constants_model()(ro_u8=3)) as objs:
        assert objs.ro_u8.get() == 3


def test_a_class_without_constants() -> None:
    class Nothing(BpfObjects):
        u32_var: Var[u32]

    assert Nothing.constants_model().model_fields == {}


def test_parts_in_parts() -> None:
    class Middle(BpfObjects):
        part: Part

    class Top(BpfObjects):
        middle: Middle

    made = Top.constants_model()(middle__part__ro_u16=4)
    with Top.load_and_assign(SCALARS, constants=made, engine=MemoryEngine()) as objs:
        assert objs.middle.part.ro_u16.get() == 4


def test_names_that_would_collide_are_refused() -> None:
    class Colliding(BpfObjects):
        part: Part
        part__ro_u16: Const[u8] = field(name="ro_u8")

    with pytest.raises(DeclarationError, match="part__ro_u16"):
        Colliding.constants_model()


def test_names_that_pydantic_does_not_take_are_aliases() -> None:
    class Under(BpfObjects):
        _ro_u8: Const[u8] = field(name="ro_u8")

    made = Under.constants_model().model_validate_json('{"_ro_u8": 7}')
    assert made.model_dump_json(by_alias=True) == '{"_ro_u8":7}'
    with Under.load_and_assign(SCALARS, constants=made, engine=MemoryEngine()) as objs:
        assert objs._ro_u8.get() == 7


@pytest.mark.parametrize("name", ["copy", "json", "schema", "model_dump", "model_config", "model_limit", "validate"])
def test_names_that_pydantic_uses_itself(name: str) -> None:
    body = {"__annotations__": {name: Const[u8]}, name: field(name="ro_u8")}
    objects: Any = type("Objects", (BpfObjects,), body)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            model = objects.constants_model()
        except DeclarationError as error:
            said = str(error)
            model = None
    if model is None:
        assert name in said  # refused, with the name that is at fault
        return
    with objects.load_and_assign(SCALARS, constants=model(**{name: 3}), engine=MemoryEngine()) as objs:
        assert getattr(objs, name).get() == 3


def test_annotated_enums() -> None:
    class Tiny(enum.IntEnum):
        A = 0
        B = 200

    class Wide(BpfObjects):
        ro_u8: Const[Annotated[Tiny, u8]]

    assert Wide.constants_model()(ro_u8=200).ro_u8 is Tiny.B  # type: ignore[attr-defined]
    with pytest.raises(pydantic.ValidationError):
        Wide.constants_model()(ro_u8=1)
