"""Specs as plain data: copies are independent, variables take values, and constants are rewritten all or not at all."""

from __future__ import annotations

import pickle
import warnings
from copy import deepcopy
from typing import Any

import pytest
from support.data import testdata
from support.objects import ObjectBuilder, exit_, ld_imm64

from bpfmodel import BpfTypeError, BpfValueError, CollectionSpec, ConstantError, Finding, FoldedConstantWarning, MapType


@pytest.fixture
def spec() -> CollectionSpec:
    return CollectionSpec.from_file(testdata("scalars"))


@pytest.fixture
def maps() -> CollectionSpec:
    return CollectionSpec.from_file(testdata("maps"))


# Copies


def test_a_copy_is_equal_and_its_own(maps: CollectionSpec) -> None:
    made = maps.copy()
    assert made.maps == maps.maps and made.programs == maps.programs and made.variables == maps.variables
    assert made.types is maps.types and made.source is maps.source, "what never changes is shared"


def test_what_a_copy_changes_stays_in_it(maps: CollectionSpec) -> None:
    before = repr(maps), dict(maps.absent)
    made = maps.copy()
    made.maps["flows"].max_entries = 4096
    made.maps["outer"].values[2] = "inner_a"
    inner = made.maps["outer"].inner
    assert inner is not None
    inner.max_entries = 99
    made.programs["touch"].autoload = False
    made.variables["unused_event"].set(7)
    made.absent["x"] = "y"
    del made.maps["queue"], made.programs["tail"]
    made.variables.clear()
    assert (repr(maps), dict(maps.absent)) == before
    assert maps.variables["unused_event"].get() == 0
    assert maps.maps["outer"].inner is not None and maps.maps["outer"].inner.max_entries == 2


def test_the_original_changes_no_copy(spec: CollectionSpec) -> None:
    made = spec.copy()
    spec.rewrite_constants({"ro_u32": 5})
    spec.variables["u32_var"].set(6)
    assert (made.variables["ro_u32"].get(), made.variables["u32_var"].get()) == (4000000, 0xDEADBEEF)


def test_a_copy_keeps_what_was_set(spec: CollectionSpec) -> None:
    spec.rewrite_constants({"ro_u32": 5})
    assert spec.copy().variables["ro_u32"].get() == 5


@pytest.mark.parametrize("again", [deepcopy, lambda spec: pickle.loads(pickle.dumps(spec))])
def test_specs_are_plain_data(spec: CollectionSpec, again: Any) -> None:
    spec.rewrite_constants({"ro_u32": 5})
    made = again(spec)
    assert {name: v.get() for name, v in made.variables.items()} == {n: v.get() for n, v in spec.variables.items()}
    made.variables["ro_u32"].set(6)
    assert spec.variables["ro_u32"].get() == 5


# Variables


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("u8_var", 255), ("s8_var", -128), ("u128_var", 2**128 - 1), ("s128_var", -(2**127)), ("bool_var", False),
        ("float_var", -0.5), ("double_var", 1e300), ("char_var", -1), ("mode_var", 0), ("msg", "grüße"),
        ("mac", b"\xff" * 6), ("arr", [4, 3, 2, 1]), ("matrix", [[6, 5, 4], [3, 2, 1]]), ("flags", [False] * 3),
        ("stats", {"packets": 1, "bytes": 2, "drops": 3, "mode": 255}), ("number", b"12345678"),
        ("bits", {"a": 7, "b": 31, "c": -64, "d": 2**40 - 1, "full": 0}), ("ptr_var", 2**64 - 1),
        ("wire", {"kind": 255, "seq": 1, "len": 65535}), ("chained_var", 0), ("u64_zero", 9), ("ro_u32", 1),
    ],
)  # fmt: skip
def test_set_and_get(spec: CollectionSpec, name: str, value: Any) -> None:
    variable = spec.variables[name]
    variable.set(value)
    assert variable.get() == value
    assert len(variable.value) == variable.size


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("u8_var", 256, BpfValueError, "u8_var: 256 is out of range for __u8 (0 to 255)"),
        ("s16_var", -32769, BpfValueError, "s16_var: -32769 is out of range for __s16 (-32768 to 32767)"),
        ("u32_var", "1", BpfTypeError, "u32_var: '1' is no integer, and __u32 takes one from 0 to 4294967295"),
        ("bool_var", 1, BpfTypeError, "bool_var: 1 is no bool: give True or False"),
        ("float_var", 1e39, BpfValueError, "float_var: 1e+39 is out of range for float"),
        ("msg", "fourteen chars", BpfValueError,
         "msg: 14 bytes of text are too long for char[13], which has 13"),
        ("mac", b"12345", BpfValueError, "mac: 5 bytes for unsigned char[6], which takes exactly 6"),
        ("arr", [1, 2, 3, -4], BpfValueError, "arr[3]: -4 is out of range for __u32 (0 to 4294967295)"),
        ("matrix", [[1, 2, 3], [4, "5", 6]], BpfTypeError,
         "matrix[1][1]: '5' is no integer, and __u64 takes one from 0 to 18446744073709551615"),
        ("stats", {"packets": 1, "bytes": 2, "drops": -3, "mode": 4}, BpfValueError,
         "stats.drops: -3 is out of range for __u32 (0 to 4294967295)"),
        ("stats", {"packets": 1}, BpfTypeError,
         "stats: {'packets': 1} does not fit struct stats: lacks bytes, drops, mode"),
        ("bits", {"a": 8, "b": 0, "c": 0, "d": 0, "full": 0}, BpfValueError,
         "bits.a: 8 is out of range for a bitfield of 3 bits (0 to 7)"),
        ("ptr_var", -1, BpfValueError, "ptr_var: -1 is out of range for void * (0 to 18446744073709551615)"),
    ],
)  # fmt: skip
def test_a_refused_value_changes_nothing(
    spec: CollectionSpec, name: str, value: Any, error: type[Exception], message: str
) -> None:
    variable = spec.variables[name]
    before = variable.value
    with pytest.raises(error) as caught:
        variable.set(value)
    assert str(caught.value) == message
    assert (variable.value, variable.rewritten) == (before, None)


def test_value_are_the_bytes(spec: CollectionSpec) -> None:
    variable = spec.variables["u32_var"]
    assert variable.value == (0xDEADBEEF).to_bytes(4, "little")
    variable.value = b"\1\0\0\0"
    assert variable.get() == 1
    with pytest.raises(BpfValueError, match="u32_var: 3 bytes, and it has 4"):
        variable.value = b"123"
    assert variable.get() == 1


def test_an_image_has_what_was_set(spec: CollectionSpec) -> None:
    assert spec.image_of(".rodata") is spec.image_of(".bss") is None
    spec.rewrite_constants({"ro_u16": 0x1234})
    spec.variables["u64_zero"].set(5)
    original, image, zeros = spec.maps[".rodata"].image, spec.image_of(".rodata"), spec.image_of(".bss")
    assert original is not None and image is not None and zeros is not None
    assert image == original[:2] + b"\x34\x12" + original[4:]
    assert zeros == bytes(8) + b"\5" + bytes(119)
    assert spec.image_of(".data") is None


# Constants


def test_rewriting(spec: CollectionSpec) -> None:
    values = {"ro_u32": 1, "ro_bool": False, "ro_name": "lo", "ro_arr": [0, 0, 0, 1], "ro_custom": 3, "ro_float": 2.5}
    spec.rewrite_constants(values)
    assert {name: spec.variables[name].get() for name in values} == values
    spec.rewrite_constants({})
    spec.rewrite_constants({"ro_u32": 2})
    assert spec.variables["ro_u32"].get() == 2


SET = "set it with open(…).set(Objects.field, value), or after load"


def test_all_that_is_wrong_in_one_error(spec: CollectionSpec) -> None:
    before = {name: variable.rewritten for name, variable in spec.variables.items()}
    with pytest.raises(ConstantError) as caught:
        spec.rewrite_constants({
            "ro_u8": 1, "ro_u32x": 1, "u32_var": 1, "not_ro": 1, "ro_s8": 128, "ro_bool": 1, "ro_arr": [1, 2, 3, "4"],
            "LICENSE": b"", "bump": 1, "ro_u64": 2,
        })  # fmt: skip
    assert caught.value.findings == (
        Finding("ro_u32x", "no such constant", "a close match is ro_u32"),
        Finding(
            "u32_var",
            "not a constant: it lies in .data",
            SET,
        ),
        Finding(
            "not_ro",
            "not a constant: it lies in .data.fake",
            SET,
        ),
        Finding("ro_s8", "128 is out of range for __s8 (-128 to 127)"),
        Finding("ro_bool", "1 is no bool: give True or False"),
        Finding("ro_arr[3]", "'4' is no integer, and __u32 takes one from 0 to 4294967295"),
        Finding("LICENSE", "no such constant", "it lies in section license"),
        Finding("bump", "no such constant", "bump is a program"),
    )
    lines = str(caught.value).splitlines()
    assert lines[0] == "constants of scalars.bpf.o were not rewritten (8 findings)"
    assert len(lines) == 9
    assert isinstance(caught.value, ValueError)
    assert {name: variable.rewritten for name, variable in spec.variables.items()} == before, "nothing was changed"


def test_one_finding_is_singular(spec: CollectionSpec) -> None:
    with pytest.raises(ConstantError, match=r"\(1 finding\)"):
        spec.rewrite_constants({"zzz": 1})


@pytest.mark.parametrize("name", ["", "ro_u32\0", "💥", "." * 5000])
def test_names_that_are_no_names(spec: CollectionSpec, name: str) -> None:
    with pytest.raises(ConstantError, match="no such constant"):
        spec.rewrite_constants({name: 1})


def test_a_folded_constant_can_be_rewritten() -> None:
    """It changes nothing that the program does, which is worth a warning at the line that asked for it."""
    spec = CollectionSpec.from_file(testdata("visibility"))
    with pytest.warns(FoldedConstantWarning, match="folded: no code refers to it") as caught:
        spec.rewrite_constants({"folded": 8})
    assert [warning.filename for warning in caught] == [__file__]
    assert spec.variables["folded"].get() == 8


# One name, two roles


def test_a_program_and_a_map_of_one_name() -> None:
    """C has one namespace for both, but the two dicts need not care: a spec may be renamed by hand."""
    builder = ObjectBuilder()
    word = builder.btf.common("__u32")
    builder.map("table", MapType.HASH, word, word, 8)
    builder.variable("x", word, 4, ".bss")
    builder.program("main", "xdp", ld_imm64(1) + exit_(), [(0, "table")])
    spec = CollectionSpec.from_bytes(builder.build())
    spec.programs["table"] = spec.programs.pop("main")
    assert spec.closure(["table"], []) == ({"table"}, set())
    assert spec.closure([], ["table"]) == ({"table"}, {"table"})
    assert spec.explain_missing("table") == "table is a map"
    assert spec.explain_missing("tabel", role="program") == "a close match is table"


def test_a_program_and_a_map_of_one_name_in_one_file() -> None:
    builder = ObjectBuilder()
    word = builder.btf.common("__u32")
    builder.map("same", MapType.HASH, word, word, 8)
    builder.program("same", "xdp", exit_())
    spec = CollectionSpec.from_bytes(builder.build())
    assert spec.maps["same"].type == MapType.HASH and spec.programs["same"].section == "xdp"
    assert spec.absent == {}


def test_a_warning_made_an_error_leaves_nothing_half_rewritten() -> None:
    """With ``-W error`` the warning is an exception: even then it is all of them or none."""
    spec = CollectionSpec.from_file(testdata("visibility"))
    before = {name: spec.variables[name].value for name in ("global_ro", "folded", "weak_ro")}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FoldedConstantWarning):
            spec.rewrite_constants({"global_ro": 1, "folded": 2, "weak_ro": 3})
    changed = {name for name in before if spec.variables[name].value != before[name]}
    assert changed in (set(), set(before))
