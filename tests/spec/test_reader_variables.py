"""Reading the committed objects: which variables are there, where, of what type, and why the others are not."""

from __future__ import annotations

from typing import Any

import pytest
from support.data import TESTDATA, testdata

from bpfmodel import BpfTypeError, BpfValueError, CollectionSpec
from bpfmodel.btf.layout import size_of

NAMES = sorted(path.name.partition(".")[0] for path in TESTDATA.glob("*.bpf.o"))
SPECS = {name: CollectionSpec.from_file(testdata(name)) for name in NAMES}

VISIBLE = {
    "arrays": {".bss": "page", ".data": "large", ".rodata": "ro_page"},
    "attach": {
        ".rodata": "target_pid",
        ".bss": "n_raw_tp n_tp n_fentry n_xdp n_xdp_off n_socket n_cgroup_skb n_tc n_perf_event n_iter n_kprobe n_grow "
        "n_mangle",
    },
    "bigendian": {
        ".data": "u16_var u32_var u64_var s32_var double_var mode_var msg stats bits",
        ".bss": "zero_var",
        ".rodata": "ro_u32 ro_bool",
    },
    "closure": {".bss": "a", ".data": "b", ".data.c": "c"},
    "enum64": {".data": "wide_var wide_signed_var", ".rodata": "ro_wide"},
    "kinds": {},
    "lazy": {".bss": "good_var"},
    "link_a": {".data": "shared only_a", ".bss": "zero_a", ".rodata": "ro_a"},
    "link_b": {".data": "only_b", ".bss": "zero_b", ".rodata": "ro_b"},
    "linked": {".data": "shared only_a only_b", ".bss": "zero_a zero_b", ".rodata": "ro_a ro_b"},
    "maps": {".bss": "unused_event"},
    "misplaced": {".bss": "zero_word zero_padded plain_zero", ".data": "set_word"},
    "nobtf": {".bss": "packets", ".data": "limit msg", ".rodata": "ro_port"},
    "others": {},
    "pinned": {},
    "scalars": {
        ".data": "u8_var u16_var u32_var u64_var s8_var s16_var s32_var s64_var u128_var s128_var bool_var float_var "
        "double_var char_var mode_var level_var tiny_var msg mac arr matrix flags stats nested number bits wire ptr_var "
        "chained_var tagged_var",
        ".bss": "u8_zero u32_zero u64_zero s64_zero bool_zero float_copy double_copy msg_zero arr_zero stats_zero "
        "opaque_ptr function_ptr restrict_ptr tagged_ptr",
        ".rodata": "ro_u8 ro_u16 ro_u32 ro_u64 ro_s8 ro_s16 ro_s32 ro_s64 ro_u128 ro_bool ro_float ro_double ro_char "
        "ro_mode ro_level ro_msg ro_name ro_mac ro_arr ro_matrix ro_stats ro_number ro_bits ro_chained ro_zero",
        ".data.custom": "custom_var",
        ".rodata.custom": "ro_custom",
        ".data.fake": "not_ro",
    },
    "streams": {".bss": "count odd_every refused next_number received total unused_event unused_line"},
    "verdict": {".rodata": "mode"},
    "verifier": {".bss": "slots"},
    "visibility": {
        ".data": "global_data weak_data unused",
        ".bss": "global_bss weak_bss",
        ".rodata": "global_ro weak_ro folded table",
    },
    "zero": {".data": "before flexible zero_length after", ".bss": "normal no_items empty also_normal"},
}


def test_every_object_is_here() -> None:
    assert sorted(VISIBLE) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_visible_variables(name: str) -> None:
    found: dict[str, set[str]] = {}
    for variable in SPECS[name].variables.values():
        found.setdefault(variable.section, set()).add(variable.name)
    assert found == {section: set(names.split()) for section, names in VISIBLE[name].items()}


@pytest.mark.parametrize("name", NAMES)
def test_constness_is_the_sections(name: str) -> None:
    spec = SPECS[name]
    for variable in spec.variables.values():
        assert variable.constant == variable.section.startswith(".rodata")
        assert spec.maps[variable.section].constant == variable.constant


@pytest.mark.parametrize("name", NAMES)
def test_variables_lie_inside_their_sections_and_apart(name: str) -> None:
    spec = SPECS[name]
    ends: dict[str, int] = {}
    for variable in sorted(spec.variables.values(), key=lambda v: (v.section, v.offset, v.size)):
        assert variable.offset >= ends.get(variable.section, 0)
        ends[variable.section] = variable.offset + variable.size
        assert ends[variable.section] <= spec.maps[variable.section].value_size
        if variable.type is not None and variable.name != "flexible":
            assert size_of(variable.type) == variable.size


@pytest.mark.parametrize("name", NAMES)
def test_names_are_either_there_or_explained(name: str) -> None:
    spec = SPECS[name]
    assert not spec.absent.keys() & {*spec.variables, *spec.programs, *spec.maps}
    assert all(reason for reason in spec.absent.values())


@pytest.mark.parametrize(
    ("name", "variable", "reason"),
    [
        ("visibility", "static_data", "it is static"),
        ("visibility", "static_bss", "it is static"),
        ("visibility", "static_ro", "it is static"),
        ("visibility", "only_static", "it is static"),
        ("visibility", "first.counter", "it is static"),
        ("visibility", "hidden_data", "it is hidden"),
        ("visibility", "hidden_bss", "it is hidden"),
        ("visibility", "hidden_ro", "it is hidden"),
        ("visibility", "internal_data", "it is hidden"),
        ("visibility", "CONFIG_HZ", "it is extern"),
        ("visibility", "LINUX_KERNEL_VERSION", "it is extern"),
        ("visibility", "bpf_fentry_test1", "it is extern"),
        ("visibility", "LICENSE", "it lies in section license"),
        ("visibility", "first", "first is a program"),
        ("visibility", "global_dat", "a close match is global_data"),
        ("closure", "add_m1", "it is a subprogram"),
        ("closure", "add_m2_twice", "it is a subprogram"),
        ("closure", "m1", "m1 is a map"),
        ("link_b", "shared", "it is extern"),
        ("link_a", "local", "it is static"),
        ("nobtf", "hits", "it is static"),
        ("pinned", "anything", "the object has no variables"),
        ("verdict", "zzz", "it has mode"),
        ("scalars", "zzz", "it has arr, arr_zero, bits, bool_var, bool_zero, chained_var, char_var, custom_var, …"),
    ],
)
def test_why_a_variable_is_absent(name: str, variable: str, reason: str) -> None:
    assert variable not in SPECS[name].variables
    assert SPECS[name].explain_missing(variable).startswith(reason)


@pytest.mark.parametrize(
    ("role", "missing", "reason"),
    [
        ("map", "flow", "a close match is flows"),
        ("map", "touch", "touch is a program"),
        ("map", "unused_event", "unused_event is a variable"),
        ("map", ".bss", "it has bloom, counters, events"),
        ("program", "leaf", "a close match is"),
        ("program", "flows", "flows is a map"),
    ],
)
def test_why_a_map_or_program_is_absent(role: str, missing: str, reason: str) -> None:
    assert SPECS["maps"].explain_missing(missing, role=role).startswith(reason)


NATURAL: dict[str, Any] = {
    "u8_var": 200, "u16_var": 0xBEEF, "u32_var": 0xDEADBEEF, "u64_var": 0x0123456789ABCDEF, "s8_var": -100,
    "s16_var": -12345, "s32_var": -1234567890, "s64_var": -1234567890123456789,
    "u128_var": 0x0011223344556677 << 64 | 0xFFFFFFFFFFFFFFFF, "s128_var": -(1 << 100) - 5, "bool_var": True,
    "float_var": 3.25, "double_var": 2.718281828459045, "char_var": ord("x"), "mode_var": 7, "tiny_var": 1,
    "msg": "Hello World!", "mac": bytes.fromhex("0242AC110001"), "arr": [1, 2, 3, 4],
    "matrix": [[1, 2, 3], [4, 5, 6]], "flags": [True, False, True],
    "stats": {"packets": 11, "bytes": 2222, "drops": 33, "mode": 4},
    "bits": {"a": 5, "b": 17, "c": -30, "d": 0x123456789A, "full": 0xCAFE},
    "wire": {"kind": 1, "seq": 0x01020304, "len": 500}, "ptr_var": 0x1122334455667788, "chained_var": 77,
    "tagged_var": 5, "u8_zero": 0, "bool_zero": False, "msg_zero": "", "arr_zero": [0, 0, 0, 0],
    "stats_zero": {"packets": 0, "bytes": 0, "drops": 0, "mode": 0}, "opaque_ptr": 0, "ro_u8": 250,
    "ro_s64": -6400000000, "ro_u128": (1 << 64) + 2, "ro_bool": True, "ro_float": 0.5, "ro_double": 1e100,
    "ro_char": ord("q"), "ro_msg": "read only", "ro_name": "eth0", "ro_mac": bytes(range(1, 7)),
    "ro_arr": [10, 20, 30, 40], "ro_matrix": [[100, 200, 300], [400, 500, 600]], "ro_chained": 88, "custom_var": 1001,
    "ro_custom": 2002, "not_ro": 3003,
}  # fmt: skip


@pytest.mark.parametrize("name", NATURAL)
def test_initial_values(name: str) -> None:
    variable = SPECS["scalars"].variables[name]
    assert variable.get() == NATURAL[name]
    assert type(variable.get()) is type(NATURAL[name])


def test_a_struct_in_a_struct() -> None:
    value = SPECS["scalars"].variables["nested"].get()
    assert (value["id"], value["at"]) == (513, [{"x": 1, "y": -2}, {"x": 3, "y": -4}])
    assert (value["word"], value["mode"], value["ready"]) == (0x04030201, 1, True)
    assert value["octets"] == bytes([1, 2, 3, 4]), "both members of an anonymous union"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("u16_var", 0x1234), ("u32_var", 0x12345678), ("u64_var", 0x0123456789ABCDEF), ("s32_var", -2),
        ("double_var", 1.5), ("mode_var", 7), ("msg", "big"), ("stats", {"packets": 1, "drops": 2, "port": 443}),
        ("bits", {"a": 5, "b": 17, "c": -30, "d": 0x123456789A}), ("zero_var", 0), ("ro_u32", 0xCAFEBABE),
        ("ro_bool", True),
    ],
)  # fmt: skip
def test_big_endian_values(name: str, value: Any) -> None:
    spec = SPECS["bigendian"].copy()
    variable = spec.variables[name]
    assert variable.byte_order == spec.byte_order == spec.types.byte_order == "big"
    assert variable.get() == value
    raw = variable.value
    variable.set(value)
    assert variable.value == raw, "padding was zero, so the bytes come out as they went in"


def test_wide_enums() -> None:
    values = {name: variable.get() for name, variable in SPECS["enum64"].variables.items()}
    assert values == {"wide_var": 1 << 40, "wide_signed_var": -(1 << 40), "ro_wide": (1 << 64) - 1}


def test_without_btf_there_are_bytes() -> None:
    spec = SPECS["nobtf"].copy()
    assert not spec.has_btf and len(spec.types) == 1
    assert {name: v.get() for name, v in spec.variables.items()} == {
        "packets": bytes(8), "limit": b"\n\0\0\0", "msg": b"Hello World!\0", "ro_port": b"\x90\x1f",
    }  # fmt: skip
    port = spec.variables["ro_port"]
    assert port.describe() == "2 bytes without BTF"
    port.set(b"\1\2")
    assert port.get() == b"\1\2"
    with pytest.raises(BpfTypeError, match="ro_port: 80 is no bytes; the object has no BTF, so its 2 bytes are all"):
        port.set(80)
    with pytest.raises(BpfValueError, match="ro_port: 3 bytes, and it has 2"):
        port.set(b"123")


def test_linked_objects_keep_both_halves() -> None:
    spec = SPECS["linked"]
    assert {name: v.get() for name, v in spec.variables.items()} == {
        "shared": 5, "only_a": 1, "only_b": 2, "zero_a": 0, "zero_b": 0, "ro_a": 10, "ro_b": 20,
    }  # fmt: skip
    assert spec.variables["only_b"].offset > spec.variables["only_a"].offset


def test_sizes_of_zero_and_of_more_than_the_type() -> None:
    variables = SPECS["zero"].variables
    assert {name: (v.offset, v.size) for name, v in variables.items()} == {
        "before": (0, 4), "flexible": (4, 8), "zero_length": (12, 4), "after": (16, 4),
        "normal": (0, 8), "also_normal": (8, 8), "no_items": (16, 0), "empty": (16, 0),
    }  # fmt: skip
    assert (variables["no_items"].get(), variables["empty"].get()) == ([], {})
    assert variables["flexible"].get()["count"] == 3
    assert variables["flexible"].value[4:7] == b"\7\10\11"


def test_a_flexible_array_keeps_the_bytes_it_had() -> None:
    variable = SPECS["zero"].copy().variables["flexible"]
    before = variable.value
    variable.set(variable.get())
    assert variable.value == before


@pytest.mark.parametrize(
    ("name", "unreferenced"),
    [
        ("visibility", "folded unused"),
        ("closure", "c"),
        ("scalars", "ro_float ro_double opaque_ptr function_ptr restrict_ptr tagged_ptr"),
        ("verdict", ""),
        ("nobtf", ""),
        ("linked", ""),
        ("maps", "unused_event"),
        ("bigendian", "u16_var u64_var s32_var double_var mode_var msg stats bits"),
        ("zero", "zero_length no_items empty"),
        ("arrays", ""),
    ],
)
def test_what_no_code_refers_to(name: str, unreferenced: str) -> None:
    found = {variable.name for variable in SPECS[name].variables.values() if not variable.referenced}
    assert found == set(unreferenced.split())
