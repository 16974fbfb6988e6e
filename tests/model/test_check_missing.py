"""A name that is missing says why: what is in the object under that name, or what is close to it."""

from typing import Any

import pytest
from support.data import testdata

from bpfmodel import (
    ArrayMap,
    BpfObjects,
    CollectionSpec,
    Const,
    Finding,
    HashMap,
    MismatchError,
    Program,
    Var,
    field,
    u32,
)

SPECS = {
    name: CollectionSpec.from_file(testdata(name)) for name in ("visibility", "closure", "maps", "nobtf", "attach")
}
STATIC = "it is static: only global variables can be reached by name"
HIDDEN = "it is hidden: remove __hidden, or the visibility attribute, to reach it"
EXTERN = "it is extern: the kernel or another object defines it"
SUBPROGRAM = "it is a subprogram, called by programs and no program itself"

CASES: list[tuple[str, Any, str, str, str]] = [
    # object, annotation, C name, role, hint
    ("visibility", Var[u32], "static_data", "variable", STATIC),
    ("visibility", Const[u32], "static_ro", "variable", STATIC),
    ("visibility", Var[u32], "static_bss", "variable", STATIC),
    ("visibility", Var[u32], "only_static", "variable", STATIC),
    ("visibility", Var[u32], "first.counter", "variable", STATIC),
    ("visibility", Var[u32], "hidden_data", "variable", HIDDEN),
    ("visibility", Const[u32], "hidden_ro", "variable", HIDDEN),
    ("visibility", Var[u32], "internal_data", "variable", HIDDEN),
    ("visibility", Var[int], "LINUX_KERNEL_VERSION", "variable", EXTERN),
    ("visibility", Var[int], "CONFIG_HZ", "variable", EXTERN),
    ("visibility", Var[int], "bpf_fentry_test1", "variable", EXTERN),
    ("visibility", Var[str], "LICENSE", "variable", "it lies in section license"),
    ("visibility", Var[u32], "first", "variable", "first is a program"),
    ("visibility", HashMap[u32, u32], "first", "map", "first is a program"),
    ("visibility", Program, "unused", "program", "unused is a variable"),
    ("visibility", HashMap[u32, u32], "unused", "map", "unused is a variable"),
    ("maps", Var[u32], "flows", "variable", "flows is a map"),
    ("maps", Program, "flows", "program", "flows is a map"),
    ("closure", Program, "add_m1", "program", SUBPROGRAM),
    ("visibility", Var[u32], "global_dato", "variable", "a close match is global_data"),
    ("maps", HashMap[u32, u32], "flow", "map", "a close match is flows"),
    ("maps", Program, "count_length", "program", "a close match is count_len"),
    ("nobtf", HashMap[u32, u32], "anything", "map", "the object has no maps"),
    ("nobtf", Var[u32], "quite_other", "variable", "it has limit, msg, packets, ro_port"),
]


@pytest.mark.parametrize(("object_name", "annotation", "name", "role", "hint"), CASES)
def test_missing(object_name: str, annotation: Any, name: str, role: str, hint: str) -> None:
    attribute = name.replace(".", "_")
    body = {"__annotations__": {attribute: annotation}} | ({attribute: field(name=name)} if attribute != name else {})
    objects: Any = type("Objects", (BpfObjects,), body)
    with pytest.raises(MismatchError) as caught:
        objects.check(SPECS[object_name])
    renamed = f" {name}" if attribute != name else ""
    message = f"no {role}{renamed} of that name in {object_name}.bpf.o"
    assert caught.value.findings == (Finding(attribute, message, hint),)


def test_what_a_renamed_field_looked_for() -> None:
    class Objects(BpfObjects):
        mine: Var[u32] = field(name="globel_data")

    with pytest.raises(MismatchError) as caught:
        Objects.check(SPECS["visibility"])
    assert str(caught.value.findings[0]) == (
        "mine: no variable globel_data of that name in visibility.bpf.o (a close match is global_data)"
    )


def test_data_sections_are_no_maps() -> None:
    class Objects(BpfObjects):
        bss: ArrayMap[u32] = field(name=".bss")

    with pytest.raises(MismatchError, match=r"bss: no map \.bss of that name"):
        Objects.check(SPECS["visibility"])


def test_a_long_list_of_names_is_cut() -> None:
    class Objects(BpfObjects):
        zzz: HashMap[u32, u32]

    with pytest.raises(MismatchError) as caught:
        Objects.check(SPECS["maps"])
    hint = caught.value.findings[0].hint
    assert hint.startswith("it has bloom, counters, ")
    assert hint.endswith(", …")
    assert hint.count(",") == 8


def test_an_optional_member_of_the_wrong_type_is_not_missing() -> None:
    class Objects(BpfObjects):
        global_data: Const[u32] | None
        static_data: Var[u32] | None

    with pytest.raises(MismatchError) as caught:
        Objects.check(SPECS["visibility"])
    assert [finding.path for finding in caught.value.findings] == ["global_data"]


def test_an_optional_member_of_another_role_is_missing() -> None:
    class Objects(BpfObjects):
        first: Var[u32] | None

    assert Objects.check(SPECS["visibility"]) == ()


def test_parts_give_the_way() -> None:
    class Part(BpfObjects):
        static_data: Var[u32]

    class Objects(BpfObjects):
        part: Part

    with pytest.raises(MismatchError, match=r"part\.static_data: no variable of that name .* \(it is static"):
        Objects.check(SPECS["visibility"])
