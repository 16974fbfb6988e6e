"""Rewriting constants at load: by name and by model, all of them or none."""

import warnings
from typing import Any  # fmt: skip
from typing import Literal as L

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
    Engine,
    FoldedConstantWarning,
    MemoryEngine,
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
VISIBILITY = CollectionSpec.from_file(testdata("visibility"))


class Stats(Struct):
    packets: u64
    bytes: u64
    drops: u32
    mode: u8


class Part(BpfObjects):
    ro_u16: Const[u16]


class Objects(BpfObjects):
    ro_u8: Const[u8]
    limit: Const[u32] = field(name="ro_u32")
    name: Const[CString[L[16]]] = field(name="ro_name")
    ro_mac: Const[Bytes[L[6]]]
    ro_arr: Const[Array[u32, L[4]]]
    ro_stats: Const[Stats]
    ro_bool: Const[bool]
    ro_s16: Const[int]
    u32_var: Var[u32]
    part: Part
    nothing: Const[u32] | None


class Folded(BpfObjects):
    folded: Const[u32]
    global_ro: Const[u32]
    table: Const[Array[u32, L[4]]]


def load(constants: Any, engine: Engine | None = None) -> Objects:
    return Objects.load_and_assign(SCALARS, constants=constants, engine=engine or MemoryEngine())


def test_by_c_name(engine: Engine) -> None:
    constants = {
        "ro_u8": 1,
        "ro_u32": 2,
        "ro_name": "eth1",
        "ro_mac": b"abcdef",
        "ro_arr": [4, 3, 2, 1],
        "ro_stats": Stats(9, 8, 7, 6),
        "ro_bool": False,
        "ro_s16": -2,
        "ro_u16": 5,
    }
    with load(constants, engine) as objs:
        assert objs.ro_u8.get() == 1
        assert objs.limit.get() == 2
        assert objs.name.get() == "eth1"
        assert objs.ro_mac.get() == b"abcdef"
        assert objs.ro_arr.get() == [4, 3, 2, 1]
        assert objs.ro_stats.get() == Stats(9, 8, 7, 6)
        assert objs.ro_bool.get() is False
        assert objs.ro_s16.get() == -2
        assert objs.part.ro_u16.get() == 5
        assert objs.u32_var.get() == 0xDEADBEEF


def test_a_struct_from_a_mapping() -> None:
    with load({"ro_stats": {"packets": 9, "bytes": 8, "drops": 7, "mode": 6}}) as objs:
        assert objs.ro_stats.get() == Stats(9, 8, 7, 6)


def test_constants_that_the_class_does_not_name(engine: Engine) -> None:
    class Sum(BpfObjects):
        sum: Program
        ro_u8: Const[u8]

    opened = Sum.open(SCALARS).rewrite_constants({"ro_s32": -5, "ro_u8": 7})
    assert opened.spec.variables["ro_s32"].get() == -5
    with opened.load(engine=engine) as objs:
        assert objs.ro_u8.get() == 7


def test_programs_see_rewritten_constants(kernel: Engine) -> None:
    class Sum(BpfObjects):
        sum: Program

    with Sum.load_and_assign(SCALARS) as objs:
        before = objs.sum.run().retval
    with Sum.load_and_assign(SCALARS, constants={"ro_u8": 150, "ro_custom": 2003}) as objs:
        assert objs.sum.run().retval == before - 100 + 1


def test_the_verifier_sees_rewritten_constants(kernel: Engine) -> None:
    # The program is accepted only if the verifier knows that mode is 42.
    class Verdict(BpfObjects):
        guarded: Program
        mode: Const[u32]

    with Verdict.load_and_assign(testdata("verdict"), constants={"mode": 42}) as objs:
        assert objs.guarded.run(bytes(64)).retval == 2


@pytest.mark.parametrize("constants", [None, {}])
def test_no_constants(constants: Any) -> None:
    with load(constants) as objs:
        assert objs.ro_u8.get() == 250


def test_all_that_is_wrong_is_listed() -> None:
    with pytest.raises(ConstantError) as caught:
        load(
            {
                "ro_u8": 256,
                "ro_u32": 7,
                "u32_var": 1,
                "no_such": 2,
                "ro_stats": {"packets": 1},
                "ro_arr": [1, 2, "x", 4],
                "sum": 5,
                "ro_nam": "x",
            }
        )
    found = {finding.path: finding.message for finding in caught.value.findings}
    assert "bytes" in found.pop("ro_stats")  # the first member that it lacks
    assert found == {
        "ro_u8": "256 is out of range for u8 (0 to 255)",
        "u32_var": "not a constant: it lies in .data",
        "no_such": "no such constant",
        "ro_arr[2]": "'x' is no integer, and u32 takes one from 0 to 4294967295",
        "sum": "no such constant",
        "ro_nam": "no such constant",
    }
    hints = {finding.path: finding.hint for finding in caught.value.findings}
    assert hints["sum"] == "sum is a program"
    assert hints["ro_nam"].startswith("a close match is ro_na")
    assert str(caught.value).startswith(
        "constants of scalars.bpf.o were not rewritten (7 findings)\n  ro_u8: 256 is out"
    )
    assert isinstance(caught.value, ValueError)


def test_nothing_is_changed_where_anything_is_wrong() -> None:
    opened = Objects.open(SCALARS).set(Objects.limit, 5)
    before = opened.spec.copy()
    with pytest.raises(ConstantError):
        opened.rewrite_constants({"ro_u8": 1, "ro_u32": 6, "ro_u16": 1 << 16})
    assert opened.spec == before
    spec = SCALARS.copy()
    with pytest.raises(ConstantError):
        Objects.load_and_assign(spec, constants={"ro_u8": 1, "ro_u32": -1}, engine=MemoryEngine())
    assert spec == SCALARS


def test_rewrite_is_chainable() -> None:
    opened = Objects.open(SCALARS)
    assert opened.rewrite_constants({"ro_u8": 1}) is opened
    assert opened.rewrite_constants({"ro_u8": 2}).get(Objects.ro_u8) == 2


@pytest.mark.parametrize("name", ["static_ro", "hidden_ro"])
def test_why_a_constant_cannot_be_reached(name: str) -> None:
    with pytest.raises(ConstantError) as caught:
        Folded.open(VISIBILITY).rewrite_constants({name: 1})
    (finding,) = caught.value.findings
    assert finding.message == "no such constant"
    assert finding.hint.startswith("it is static" if name == "static_ro" else "it is hidden")


@pytest.mark.parametrize("attribute", ["limit", "part.ro_u16", "nothing"])
def test_attributes_are_no_c_names(attribute: str) -> None:
    with pytest.raises(ConstantError, match="no such constant"):
        load({attribute: 1})


@pytest.mark.parametrize("constants", [5, "ro_u8", [("ro_u8", 1)], object()], ids=repr)
def test_what_is_no_mapping(constants: Any) -> None:
    with pytest.raises(ConstantError, match="is no mapping of names to values"):
        load(constants)


@pytest.mark.parametrize("key", [5, None, b"ro_u8", Objects.ro_u8], ids=["int", "None", "bytes", "key"])
def test_names_that_are_no_text(key: Any) -> None:
    with pytest.raises(ConstantError, match="no such constant"):
        load({key: 1})


def test_a_folded_constant_warns(engine: Engine) -> None:
    with pytest.warns(FoldedConstantWarning) as told:
        objs = Folded.load_and_assign(VISIBILITY, constants={"folded": 9, "global_ro": 8}, engine=engine)
    with objs:
        assert len(told) == 1
        assert str(told[0].message) == (
            "folded: no code refers to it: the compiler folded its value, and rewriting it changes nothing; "
            "declare it const volatile in C"
        )
        assert (objs.folded.get(), objs.global_ro.get()) == (9, 8)


def test_the_warning_points_at_the_callers_line() -> None:
    with pytest.warns(FoldedConstantWarning) as by_open:
        Folded.open(VISIBILITY).rewrite_constants({"folded": 9})
    with pytest.warns(FoldedConstantWarning) as by_load:
        Folded.load_and_assign(VISIBILITY, constants={"folded": 9}, engine=MemoryEngine()).close()
    assert by_open[0].filename == __file__
    assert by_load[0].filename == __file__


def test_no_warning_for_constants_that_are_used_or_untouched() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Folded.load_and_assign(
            VISIBILITY, constants={"global_ro": 1, "table": [1, 2, 3, 4]}, engine=MemoryEngine()
        ).close()
        Folded.load_and_assign(VISIBILITY, engine=MemoryEngine()).close()


def test_a_refused_rewrite_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConstantError):
            Folded.open(VISIBILITY).rewrite_constants({"folded": 9, "global_ro": -1})
