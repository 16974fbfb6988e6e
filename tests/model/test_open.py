"""The spec stage of a class: open, change, load; and that loading changes nothing."""

import warnings
from typing import Any  # fmt: skip
from typing import Literal as L

import pytest
from support.data import testdata

from bpfmodel import (
    Array,
    ArrayMap,
    BpfObjects,
    BpfTypeError,
    BpfValueError,
    CollectionSpec,
    Const,
    CString,
    DeclarationError,
    Engine,
    FoldedConstantWarning,
    HashMap,
    MapError,
    OpenObjects,
    Program,
    Struct,
    Var,
    field,
    u8,
    u16,
    u32,
    u64,
)

SCALARS = CollectionSpec.from_file(testdata("scalars"))
MAPS = CollectionSpec.from_file(testdata("maps"))
VISIBILITY = CollectionSpec.from_file(testdata("visibility"))
FRESH = SCALARS.copy()
"""What the spec was before any test."""


class Stats(Struct):
    packets: u64
    bytes: u64
    drops: u32
    mode: u8


class Part(BpfObjects):
    ro_u16: Const[u16]


class Objects(BpfObjects):
    u32_var: Var[u32]
    limit: Const[u32] = field(name="ro_u32")
    msg: Var[CString[L[13]]]
    arr: Var[Array[u32, L[4]]]
    stats: Var[Stats]
    zero: Var[u64] = field(name="u64_zero")
    loose: Const[int] = field(name="ro_s16")
    custom: Const[u32] = field(name="ro_custom")
    nothing: Var[u32] | None
    part: Part


class Maps(BpfObjects):
    flows: HashMap[u32, Any]
    counters: ArrayMap[u64]
    touch: Program


class Lazy(BpfObjects):
    good_map: HashMap[u32, u64]
    spare_map: ArrayMap[u32]


def test_open_returns_what_is_checked_and_not_loaded() -> None:
    opened = Objects.open(SCALARS)
    assert type(opened) is OpenObjects
    assert isinstance(opened.spec, CollectionSpec)
    assert "Objects" in repr(opened)
    assert "scalars.bpf.o" in repr(opened)


def test_get_returns_initial_values() -> None:
    opened = Objects.open(SCALARS)
    assert opened.get(Objects.u32_var) == 0xDEADBEEF
    assert opened.get(Objects.limit) == 4000000
    assert opened.get(Objects.msg) == "Hello World!"
    assert opened.get(Objects.arr) == [1, 2, 3, 4]
    assert opened.get(Objects.stats) == Stats(11, 2222, 33, 4)
    assert opened.get(Objects.zero) == 0
    assert opened.get(Objects.loose) == -1600
    assert opened.get(Part.ro_u16) == 60000


def test_set_is_chainable_and_typed(engine: Engine) -> None:
    opened = Objects.open(SCALARS)
    same = (
        opened.set(Objects.u32_var, 1)
        .set(Objects.limit, 2)
        .set(Objects.msg, "hi")
        .set(Objects.arr, [5, 6, 7, 8])
        .set(Objects.stats, Stats(1, 2, 3, 4))
        .set(Objects.zero, 3)
        .set(Objects.loose, -4)
        .set(Objects.custom, 5)
        .set(Part.ro_u16, 6)
    )
    assert same is opened
    with opened.load(engine=engine) as objs:
        assert type(objs) is Objects
        for key, handle in (
            (Objects.u32_var, objs.u32_var),
            (Objects.limit, objs.limit),
            (Objects.zero, objs.zero),
            (Objects.loose, objs.loose),
            (Objects.custom, objs.custom),
            (Part.ro_u16, objs.part.ro_u16),
        ):
            assert opened.get(key) == handle.get()
        assert (objs.u32_var.get(), objs.limit.get(), objs.zero.get(), objs.loose.get()) == (1, 2, 3, -4)
        assert (objs.custom.get(), objs.part.ro_u16.get()) == (5, 6)
        assert (objs.msg.get(), objs.arr.get(), objs.stats.get()) == ("hi", [5, 6, 7, 8], Stats(1, 2, 3, 4))


def test_what_was_not_set_keeps_its_value(engine: Engine) -> None:
    with Objects.open(SCALARS).set(Objects.u32_var, 1).load(engine=engine) as objs:
        assert objs.msg.get() == "Hello World!"
        assert objs.limit.get() == 4000000


@pytest.mark.parametrize(
    ("attribute", "value", "error", "message"),
    [
        ("u32_var", 1 << 32, BpfValueError, "u32_var: 4294967296 is out of range for u32 (0 to 4294967295)"),
        ("u32_var", -1, BpfValueError, "u32_var: -1 is out of range for u32 (0 to 4294967295)"),
        ("u32_var", "5", BpfTypeError, "u32_var: '5' is no integer, and u32 takes one from 0 to 4294967295"),
        ("limit", 1 << 32, BpfValueError, "ro_u32: 4294967296 is out of range for u32 (0 to 4294967295)"),
        ("msg", "Hello World!!!", BpfValueError, "msg: 14 bytes of text are too long for char[13], which has 13"),
        ("arr", [1, 2, 3], BpfValueError, "arr: 3 values for u32[4], which takes exactly 4"),
        ("arr", [1, 2, 3, -4], BpfValueError, "arr[3]: -4 is out of range for u32 (0 to 4294967295)"),
        ("loose", 1 << 15, BpfValueError, "ro_s16: 32768 is out of range for __s16 (-32768 to 32767)"),
    ],
)
def test_values_that_do_not_fit(attribute: str, value: object, error: type[Exception], message: str) -> None:
    opened: Any = Objects.open(SCALARS)
    key = getattr(Objects, attribute)
    before = opened.get(key)
    with pytest.raises(error) as caught:
        opened.set(key, value)
    assert str(caught.value) == message
    assert opened.get(key) == before


def test_members_that_do_not_fit() -> None:
    opened = Objects.open(SCALARS)
    value = Stats(1, 2, 3, 4)
    value.mode = 256
    with pytest.raises(BpfValueError, match=r"^stats\.mode: 256 is out of range for u8 \(0 to 255\)$"):
        opened.set(Objects.stats, value)
    assert opened.get(Objects.stats) == Stats(11, 2222, 33, 4)


def test_the_spec_is_a_copy_of_its_own() -> None:
    first, second = Objects.open(SCALARS), Objects.open(SCALARS)
    first.set(Objects.limit, 1).set(Objects.msg, "hi")
    first.spec.maps[".data"].max_entries = 1
    first.spec.variables["u32_var"].set(9)
    first.spec.programs.clear()
    assert second.get(Objects.limit) == 4000000
    assert second.get(Objects.u32_var) == 0xDEADBEEF
    assert SCALARS == FRESH
    assert second.spec == FRESH


def test_changes_of_the_source_come_too_late() -> None:
    spec = SCALARS.copy()
    spec.variables["ro_u32"].set(77)
    opened = Objects.open(spec)
    spec.variables["ro_u32"].set(78)
    assert opened.get(Objects.limit) == 77


def test_the_spec_may_be_changed_by_name(engine: Engine) -> None:
    opened = Objects.open(SCALARS)
    opened.spec.variables["ro_u32"].set(5)
    opened.spec.rewrite_constants({"ro_u16": 6})
    assert opened.get(Objects.limit) == 5
    with opened.load(engine=engine) as objs:
        assert (objs.limit.get(), objs.part.ro_u16.get()) == (5, 6)


def test_another_spec_may_take_its_place(engine: Engine) -> None:
    opened = Objects.open(SCALARS)
    spec = SCALARS.copy()
    spec.variables["u32_var"].set(3)
    opened.spec = spec
    opened.set(Objects.limit, 4)
    with opened.load(engine=engine) as objs:
        assert (objs.u32_var.get(), objs.limit.get()) == (3, 4)


@pytest.mark.usefixtures("no_leak")
def test_one_spec_loads_many_times(engine: Engine) -> None:
    opened = Objects.open(SCALARS).set(Objects.u32_var, 1)
    before = opened.spec.copy()
    with opened.load(engine=engine) as one, opened.load(engine=engine) as two:
        one.u32_var.set(5)
        one.msg.set("one")
        assert (one.u32_var.get(), two.u32_var.get()) == (5, 1)
        assert two.msg.get() == "Hello World!"
        opened.set(Objects.u32_var, 2)
        with opened.load(engine=engine) as three:
            assert (one.u32_var.get(), two.u32_var.get(), three.u32_var.get()) == (5, 1, 2)
    opened.set(Objects.u32_var, 1)
    assert opened.spec == before
    with opened.load(engine=engine) as again:
        assert again.u32_var.get() == 1
    assert SCALARS == FRESH


def test_load_and_assign_does_not_change_the_spec(engine: Engine) -> None:
    spec = SCALARS.copy()
    with Objects.load_and_assign(spec, constants={"ro_u32": 1}, engine=engine) as objs:
        objs.u32_var.set(3)
        assert objs.limit.get() == 1
    assert spec == FRESH


def test_maps_resize(engine: Engine) -> None:
    opened = Lazy.open(testdata("lazy"))
    opened.spec.maps["good_map"].max_entries = 2
    opened.spec.maps["spare_map"].max_entries = 20
    with opened.load(engine=engine) as objs:
        assert (objs.good_map.max_entries, objs.spare_map.max_entries, len(objs.spare_map)) == (2, 20, 20)
        objs.spare_map[19] = 5
        assert objs.spare_map[-1] == 5
        objs.good_map[1] = objs.good_map[2] = 3
        with pytest.raises(MapError, match="good_map"):
            objs.good_map[3] = 3
    with Lazy.load_and_assign(testdata("lazy"), engine=engine) as objs:
        assert (objs.good_map.max_entries, len(objs.spare_map)) == (16, 4)


@pytest.mark.parametrize("use", [lambda opened, key: opened.set(key, 5), lambda opened, key: opened.get(key)])
def test_an_optional_variable_that_is_missing(use: Any) -> None:
    with pytest.raises(DeclarationError, match=r"Objects\.nothing> is optional, and scalars\.bpf\.o has no nothing"):
        use(Objects.open(SCALARS), Objects.nothing)


def test_an_optional_variable_that_is_there() -> None:
    class Optional(BpfObjects):
        u32_var: Var[u32] | None

    opened: Any = Optional.open(SCALARS)
    assert opened.set(Optional.u32_var, 5).get(Optional.u32_var) == 5


class Foreign(BpfObjects):
    u32_var: Var[u32]
    u64_zero: Var[u64]


@pytest.mark.parametrize("key", [Foreign.u32_var, Foreign.u64_zero], ids=["same name", "other name"])
@pytest.mark.parametrize("use", [lambda opened, key: opened.set(key, 5), lambda opened, key: opened.get(key)])
def test_fields_of_other_classes_are_refused(use: Any, key: Any) -> None:
    opened = Objects.open(SCALARS)
    with pytest.raises(DeclarationError, match=r"Foreign\.\w+> is no variable of Objects"):
        use(opened, key)
    assert opened.get(Objects.u32_var) == 0xDEADBEEF


def test_a_foreign_field_of_a_derived_class_is_refused() -> None:
    class Derived(Objects):
        u8_var: Var[u8]

    with pytest.raises(DeclarationError, match="no variable of Objects"):
        Objects.open(SCALARS).set(Derived.u8_var, 1)


def test_a_renamed_field_of_two_classes_is_told_apart() -> None:
    class First(BpfObjects):
        value: Var[u32] = field(name="u32_var")

    class Second(BpfObjects):
        value: Var[u16] = field(name="u16_var")

    class Both(BpfObjects):
        first: First
        second: Second

    opened = Both.open(SCALARS).set(First.value, 1).set(Second.value, 2)
    assert (opened.get(First.value), opened.get(Second.value)) == (1, 2)
    assert opened.spec.variables["u16_var"].get() == 2


@pytest.mark.parametrize("key", [Maps.flows, Maps.counters, Maps.touch], ids=["hash", "array", "program"])
def test_maps_and_programs_take_no_value(key: Any) -> None:
    with pytest.raises(DeclarationError, match="is no variable of Maps"):
        Maps.open(MAPS).set(key, 5)


@pytest.mark.parametrize("key", ["u32_var", None, 5, u32], ids=str)
def test_what_is_no_key_at_all(key: Any) -> None:
    with pytest.raises((DeclarationError, TypeError)):
        Objects.open(SCALARS).set(key, 5)


def test_keys_of_base_and_subclass() -> None:
    class Derived(Objects):
        u8_var: Var[u8]

    opened = Derived.open(SCALARS).set(Derived.u32_var, 1).set(Derived.u8_var, 2)
    assert opened.get(Objects.u32_var) == 1
    assert opened.set(Objects.limit, 3).get(Derived.limit) == 3


def test_keys_of_a_field_declared_anew() -> None:
    class Base(BpfObjects):
        limit: Const[u32] = field(name="ro_u32")

    class Derived(Base):
        limit: Const[u16] = field(name="ro_u16")

    opened = Derived.open(SCALARS).set(Derived.limit, 3)
    assert opened.spec.variables["ro_u16"].get() == 3
    assert opened.spec.variables["ro_u32"].get() == 4000000


def test_setting_a_folded_constant_warns() -> None:
    class Folded(BpfObjects):
        folded: Const[u32]
        global_ro: Const[u32]

    opened = Folded.open(VISIBILITY)
    with pytest.warns(
        FoldedConstantWarning, match="folded: no code refers to it.*declare it const volatile in C"
    ) as told:
        opened.set(Folded.folded, 8)
    assert [warning.filename for warning in told] == [__file__]
    assert opened.get(Folded.folded) == 8
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened.set(Folded.global_ro, 8)


def test_no_engine_is_the_kernel(kernel: Engine) -> None:
    with Objects.open(SCALARS).load() as objs:
        assert objs.u32_var.get() == 0xDEADBEEF
    with Lazy.open(testdata("lazy")).load() as lazy:
        assert lazy.good_map.fileno() > 0
