"""Checking: one error with all findings, each with its path, what was declared, what was found, and a hint."""

import os
import warnings
from pathlib import Path
from typing import Any  # fmt: skip
from typing import Literal as L

import pytest
from support.data import TESTDATA, testdata
from support.objects import ObjectBuilder

from bpfmodel import (
    TC,
    XDP,
    Array,
    ArrayMap,
    BpfObjects,
    CollectionSpec,
    Const,
    CString,
    Finding,
    HashMap,
    MismatchError,
    Program,
    SourceError,
    Struct,
    Syscall,
    Var,
    f32,
    u8,
    u16,
    u32,
    u64,
)

SCALARS = CollectionSpec.from_file(testdata("scalars"))
MAPS = CollectionSpec.from_file(testdata("maps"))
VISIBILITY = CollectionSpec.from_file(testdata("visibility"))
ZERO = CollectionSpec.from_file(testdata("zero"))
NOBTF = CollectionSpec.from_file(testdata("nobtf"))


def declare(annotation: Any, name: str) -> Any:
    return type("Objects", (BpfObjects,), {"__annotations__": {name: annotation}})


def findings(annotation: Any, name: str, spec: CollectionSpec) -> list[Finding]:
    """Check a class of one field, and return what was found to be wrong."""
    with pytest.raises(MismatchError) as caught:
        declare(annotation, name).check(spec)
    return list(caught.value.findings)


def count_object() -> bytes:
    builder = ObjectBuilder()
    u32_id, u64_id = builder.btf.common("__u32"), builder.btf.common("__u64")
    stats = builder.btf.struct("stats", 16, [("packets", u64_id, 0), ("bytes", u64_id, 64)])
    builder.variable("pkt_count", u64_id, 8, ".bss")
    builder.map("flows", 1, u32_id, stats, 16)
    return builder.build()


def test_the_example_of_the_design(tmp_path: Path) -> None:
    class Stats(Struct):
        bytes: u64
        packets: u64

    class Objects(BpfObjects):
        pkt_count: Var[u32]
        flows: HashMap[u32, Stats]

    (tmp_path / "count.bpf.o").write_bytes(count_object())
    with pytest.raises(MismatchError) as caught:
        Objects.check(tmp_path / "count.bpf.o")
    assert f"{type(caught.value).__name__}: {caught.value}" == (
        "MismatchError: Objects does not match count.bpf.o (2 findings)\n"
        "  pkt_count: declared u32 (4 bytes), found __u64 (8 bytes) in .bss\n"
        "  flows.value.packets: declared at offset 8, found at offset 0"
    )


def test_findings_are_data_as_well() -> None:
    found = findings(Var[u32], "u64_var", SCALARS)
    assert found == [
        Finding(
            path="u64_var",
            message="declared u32 (4 bytes), found __u64 (8 bytes) in .data",
            hint="",
            severity="error",
        )
    ]


def test_all_findings_come_in_one_error() -> None:
    class Objects(BpfObjects):
        u8_var: Var[u16]
        ro_u8: Var[u8]
        no_such: Var[u8]
        msg: Var[CString[L[3]]]
        bump: Program[XDP]
        sum: HashMap[u32, u32]
        u32_var: Var[u32]

    with pytest.raises(MismatchError) as caught:
        Objects.check(SCALARS)
    found = caught.value.findings
    assert [finding.path for finding in found] == ["u8_var", "ro_u8", "no_such", "msg", "bump", "sum"]
    lines = str(caught.value).splitlines()
    assert lines[0] == "Objects does not match scalars.bpf.o (6 findings)"
    assert lines[1:] == [f"  {finding}" for finding in found]


def test_one_finding_is_counted_as_one() -> None:
    with pytest.raises(MismatchError, match=r"^Objects does not match scalars\.bpf\.o \(1 finding\)\n"):
        declare(Var[u8], "u16_var").check(SCALARS)


def test_several_findings_of_one_field() -> None:
    found = findings(Const[u8], "u16_var", SCALARS)
    assert [finding.path for finding in found] == ["u16_var", "u16_var"]
    assert "declared Const" in found[0].message
    assert "declared u8 (1 byte), found __u16 (2 bytes)" in found[1].message


def test_the_mismatch_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        declare(Var[u8], "u16_var").check(SCALARS)


@pytest.mark.parametrize("use", ["check", "open", "load_and_assign"])
def test_every_way_to_load_checks_first(use: str) -> None:
    with pytest.raises(MismatchError, match="u16_var: declared u8"):
        getattr(declare(Var[u8], "u16_var"), use)(SCALARS)


def test_const_in_a_writable_section() -> None:
    assert findings(Const[u32], "u32_var", SCALARS) == [
        Finding("u32_var", "declared Const, found in .data, which is writable", "declare it as Var")
    ]
    assert findings(Const[u32], "u32_zero", SCALARS)[0].message == "declared Const, found in .bss, which is writable"


def test_var_in_rodata() -> None:
    assert findings(Var[u32], "ro_u32", SCALARS) == [
        Finding("ro_u32", "declared Var, found in .rodata, which is frozen at load", "declare it as Const")
    ]
    assert "found in .rodata.custom, which is frozen" in findings(Var[u32], "ro_custom", SCALARS)[0].message


def test_constness_is_that_of_the_section() -> None:
    # `const volatile __u32 not_ro SEC(".data.fake")` is writable all the same.
    assert declare(Var[u32], "not_ro").check(SCALARS) == ()
    assert "found in .data.fake, which is writable" in findings(Const[u32], "not_ro", SCALARS)[0].message
    assert declare(Const[u32], "ro_custom").check(SCALARS) == ()


@pytest.mark.parametrize(
    ("name", "annotation"), [("no_items", Var[Array[u32, L[1]]]), ("empty", Var[Any]), ("empty", Var[u8])]
)
def test_variables_without_a_size(name: str, annotation: Any) -> None:
    assert findings(annotation, name, ZERO) == [
        Finding(name, "found without any size in .bss", "there is nothing to read")
    ]


def test_the_size_is_all_that_is_known_without_btf() -> None:
    assert findings(Var[u32], "packets", NOBTF) == [
        Finding(
            "packets",
            "declared u32 (4 bytes), found 8 bytes in .bss",
            "without type information, only the size could be checked",
        )
    ]
    note = "the object has no BTF, so only the size was checked"
    for annotation, name in ((Var[u64], "packets"), (Var[CString[L[13]]], "msg")):
        assert declare(annotation, name).check(NOBTF) == (Finding(name, note, "compile with -g", "warning"),)
    assert declare(Const[u16], "ro_port").check(NOBTF)[0].message == note
    assert "declared Var" in findings(Var[u16], "ro_port", NOBTF)[0].message


@pytest.mark.parametrize("loose", [int, str, bytes, list, float, Any], ids=str)
def test_loose_annotations_need_btf(loose: Any) -> None:
    (finding,) = findings(Var[loose], "limit", NOBTF)
    assert "found 4 bytes in .data without type information" in finding.message
    assert finding.hint == "say the C type, such as u32, or compile with -g"


def test_members_have_their_path() -> None:
    class Stats(Struct):
        packets: u64
        byte: u64
        drops: u32
        mode: u16

    assert findings(Var[Stats], "stats", SCALARS) == [
        Finding("stats.byte", "no such member; at offset 8 lies bytes"),
        Finding("stats.mode", "declared u16 (2 bytes), found __u8 (1 byte)"),
    ]


def test_members_that_were_not_declared() -> None:
    class Stats(Struct):
        packets: u64
        bytes: u64

    assert [(item.path, item.message) for item in findings(Var[Stats], "stats", SCALARS)] == [
        ("stats.drops", "not declared, found __u32 (4 bytes) at offset 16"),
        ("stats.mode", "not declared, found __u8 (1 byte) at offset 20"),
    ]


def test_keys_and_values_of_maps_have_their_path() -> None:
    class Stats(Struct):
        bytes: u64
        packets: u64

    assert findings(HashMap[u64, Stats], "flows", MAPS) == [
        Finding("flows.key", "declared u64 (8 bytes), found __u32 (4 bytes)"),
        Finding("flows.value.packets", "declared at offset 8, found at offset 0"),
    ]


@pytest.mark.parametrize(
    ("annotation", "name", "message", "hint"),
    [
        (HashMap[u32, u64], "counters", "declared HashMap (type HASH), found a map of type ARRAY", "declare ArrayMap[u64]"),
        (ArrayMap[u16], "hidden_def", "declared ArrayMap (type ARRAY), found a map of type HASH", "declare HashMap[u64, u16]"),
        (HashMap[u32, u32], "lru", "declared HashMap (type HASH), found a map of type LRU_HASH", "declare LruHashMap[u32, u32]"),
        (ArrayMap[u32], "percpu", "declared ArrayMap (type ARRAY), found a map of type PERCPU_ARRAY",
         "declare PerCpuArrayMap[u32]"),
        (ArrayMap[u32], "plain_ring", "declared ArrayMap (type ARRAY), found a map of type RINGBUF", "declare RingBuf[…]"),
    ],
)  # fmt: skip
def test_the_wrong_kind_of_map(annotation: Any, name: str, message: str, hint: str) -> None:
    assert findings(annotation, name, MAPS) == [Finding(name, message, hint)]


def test_maps_that_give_only_sizes_are_noted() -> None:
    notes = declare(HashMap[u32, u64], "sized").check(MAPS)
    assert notes == (
        Finding("sized.key", "the map gives only key_size, so only the size was checked", "use __type(key, …)", "warning"),
        Finding(
            "sized.value", "the map gives only value_size, so only the size was checked", "use __type(value, …)", "warning"
        ),
    )  # fmt: skip
    assert findings(HashMap[u64, u32], "sized", MAPS) == [
        Finding(
            f"sized.{part}",
            f"declared {declared}, found {size} bytes as {part}_size",
            "without type information, only the size could be checked",
        )
        for part, declared, size in (("key", "u64 (8 bytes)", 4), ("value", "u32 (4 bytes)", 8))
    ]


def test_maps_behind_typedefs() -> None:
    assert declare(HashMap[u64, u16], "hidden_def").check(MAPS) == ()


def test_the_wrong_kind_of_program() -> None:
    assert findings(Program[TC], "count_len", MAPS) == [
        Finding(
            "count_len",
            "declared Program[TC] (type SCHED_CLS or SCHED_ACT), found a program of type XDP in section xdp",
        )
    ]
    assert findings(Program[XDP], "touch", MAPS)[0].message.endswith("of type SYSCALL in section syscall")


def test_the_right_kind_of_program() -> None:
    assert declare(Program[XDP], "count_len").check(MAPS) == ()
    assert declare(Program[Syscall], "touch").check(MAPS) == ()
    assert declare(Program, "touch").check(MAPS) == ()


def test_a_folded_constant_is_a_warning() -> None:
    assert declare(Const[u32], "folded").check(VISIBILITY) == (
        Finding(
            "folded",
            "no code refers to it: the compiler folded its value, and rewriting it changes nothing",
            "declare it const volatile in C",
            "warning",
        ),
    )
    assert declare(Const[Array[u32, L[4]]], "table").check(VISIBILITY) == ()
    assert declare(Const[u32], "global_ro").check(VISIBILITY) == ()


def test_an_unused_const_volatile_is_no_folded_constant() -> None:
    # `const volatile float ro_float`: no program reads it, and the compiler folds nothing that is volatile.
    assert declare(Const[f32], "ro_float").check(SCALARS) == ()


def test_an_unused_variable_is_no_folded_constant() -> None:
    assert declare(Var[u64], "unused").check(VISIBILITY) == ()


def test_checking_issues_no_python_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        declare(Const[u32], "folded").check(VISIBILITY)
        declare(Const[u32], "folded").open(VISIBILITY)


@pytest.mark.parametrize("name", ["weak_data", "weak_bss"])
def test_weak_variables_are_visible(name: str) -> None:
    assert declare(Var[u32], name).check(VISIBILITY) == ()


def test_weak_constants_are_visible() -> None:
    assert declare(Const[u32], "weak_ro").check(VISIBILITY) == ()


def test_checking_takes_every_source() -> None:
    path = testdata("scalars")
    cls = declare(Var[u32], "u32_var")
    data = path.read_bytes()

    class Resource:  # all that importlib.resources promises
        name = "scalars.bpf.o"

        def read_bytes(self) -> bytes:
            return data

    for source in (
        path,
        str(path),
        data,
        bytearray(data),
        memoryview(data),
        SCALARS,
        Resource(),
        os.path.relpath(path),
    ):
        assert cls.check(source) == ()


def test_the_error_names_the_source() -> None:
    data = testdata("scalars").read_bytes()
    for source, name in (
        (testdata("scalars"), "scalars.bpf.o"),
        (CollectionSpec.from_bytes(data, name="mine"), "mine"),
    ):
        with pytest.raises(MismatchError, match=f"^Objects does not match {name}"):
            declare(Var[u8], "u16_var").check(source)


def test_checking_changes_no_spec() -> None:
    spec = CollectionSpec.from_file(TESTDATA / "scalars.bpf.o")
    before = spec.copy()
    declare(Const[u32], "ro_u32").check(spec)
    findings(Const[u8], "ro_u32", spec)
    assert spec == before


@pytest.mark.parametrize("source", [5, None, object(), ["x"]], ids=str)
def test_what_is_no_source(source: Any) -> None:
    with pytest.raises(SourceError, match="is no source"):
        declare(Var[u32], "u32_var").check(source)


def test_broken_sources() -> None:
    with pytest.raises(SourceError):
        declare(Var[u32], "u32_var").check(b"no ELF")
    with pytest.raises(FileNotFoundError):
        declare(Var[u32], "u32_var").check("/no/such/file.bpf.o")


def test_the_other_byte_order_is_checked_alike() -> None:
    class Stats(Struct):
        packets: u64
        drops: u32
        port: u16

    class Objects(BpfObjects):
        u16_var: Var[u16]
        stats: Var[Stats]
        flows: HashMap[u32, Stats]
        ro_u32: Const[u32]

    assert Objects.check(testdata("bigendian")) == ()
