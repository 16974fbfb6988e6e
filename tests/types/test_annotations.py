"""Resolving annotations: strings, nested functions, names that come later, and names that Python mangles."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any, ClassVar  # fmt: skip
from typing import Literal as L

import pytest

from bpfmodel import Array, Bytes, CString, DeclarationError, Struct, u8, u16, u32, u64
from bpfmodel.btf.layout import size_of
from bpfmodel.types.annotations import body_of, unmangled
from bpfmodel.types.lowering import lower

if TYPE_CHECKING:
    from nowhere import Missing


class Later(Struct):
    inner: Defined
    after: u32


class Defined(Struct):
    value: u16


def test_a_name_that_comes_later_in_the_module() -> None:
    assert [member.offset for member in Later.__bpf_type__().members] == [0, 32]
    assert Later(Defined(1), 2).inner.value == 1


def test_strings_in_a_function() -> None:
    local = CString[L[3]]

    class Inner(Struct):
        name: local

    class Outer(Struct):
        inner: Inner
        many: Array[Inner, L[2]]

    assert size_of(lower(Outer)) == 9


def test_scopes_of_functions_in_functions() -> None:
    size = L[4]

    def make() -> type[Struct]:
        width = u16

        class Inner(Struct):
            raw: Bytes[size]  # from the outer function
            number: width

        assert size is not None
        return Inner

    assert size_of(lower(make())) == 6


def test_a_class_in_a_class() -> None:
    class Outer:
        word = u32

        class Inner(Struct):
            x: word  # noqa: F821

    assert size_of(lower(Outer.Inner)) == 4


def test_a_name_that_comes_later_in_a_function() -> None:
    class First(Struct):
        second: Second

    class Second(Struct):
        x: u64

    assert size_of(lower(First)) == 8


def test_a_name_that_never_comes() -> None:
    class Waits(Struct):
        x: Missing

    for use in (lambda: lower(Waits), lambda: Waits(1)):  # type: ignore[arg-type]
        with pytest.raises(DeclarationError, match="Missing"):
            use()


def test_a_struct_in_itself() -> None:
    """C cannot hold a struct in itself; it ends in an error, not in a RecursionError."""

    def declare() -> None:
        class Node(Struct):
            me: Node

        Node(1)  # type: ignore[arg-type]

    with pytest.raises(DeclarationError):
        declare()


def test_structs_in_each_other() -> None:
    def declare() -> None:
        class A(Struct):
            b: B

        class B(Struct):
            a: A

        lower(A)

    with pytest.raises(DeclarationError):
        declare()


def test_class_variables_and_plain_attributes_are_no_members() -> None:
    class Holder(Struct):
        x: u32
        LIMIT: ClassVar[int] = 7
        other: ClassVar = "y"
        plain = 5

        def method(self) -> int:
            return self.x

        @property
        def double(self) -> int:
            return self.x * 2

    assert [member.name for member in Holder.__bpf_type__().members] == ["x"]
    assert (Holder(4).double, Holder(4).method(), Holder.LIMIT) == (8, 4, 7)


def test_a_member_named_like_a_type() -> None:
    class Shadow(Struct):
        u8: u8
        u32: u32

    assert size_of(lower(Shadow)) == 8


def test_annotations_that_are_no_strings() -> None:
    body: dict[str, Any] = {"__annotations__": {"x": u8, "y": u32}}
    assert size_of(lower(types.new_class("Made", (Struct,), {}, lambda space: space.update(body)))) == 8


def test_code_without_a_module() -> None:
    space: dict[str, Any] = {}
    exec(
        "from __future__ import annotations\n"
        "from bpfmodel import Struct, u32\n"
        "word = u32\n"
        "class Point(Struct):\n    x: word\n    y: word\n",
        space,
    )
    assert size_of(lower(space["Point"])) == 8


def test_a_bases_annotations_are_resolved_where_they_were_written() -> None:
    space: dict[str, Any] = {"__name__": "elsewhere"}
    exec(
        "from __future__ import annotations\n"
        "from bpfmodel import Struct, u64 as hidden_name\n"
        "class Base(Struct):\n    x: hidden_name\n",
        space,
    )

    class Derived(space["Base"]):  # type: ignore[misc]
        y: u32

    assert [member.name for member in Derived.__bpf_type__().members] == ["x", "y"]


def test_the_users_own_init_subclass() -> None:
    class Base(Struct):
        kind: u8

        def __init_subclass__(cls, **options: Any) -> None:
            super().__init_subclass__(**options)

    def make() -> type[Struct]:
        local = u32

        class Derived(Base, packed=True):
            x: local

        return Derived

    assert size_of(lower(make())) == 5


@pytest.mark.parametrize(
    ("owner", "name", "plain"),
    [
        ("Stats", "_Stats__x", "__x"), ("_Stats", "_Stats__x", "__x"), ("__Stats", "_Stats__x", "__x"),
        ("Stats", "_Other__x", "_Other__x"), ("Stats", "x", "x"), ("Stats", "_x", "_x"),
        ("Stats", "__x__", "__x__"), ("Stats", "_Stats__x__", "_Stats__x__"), ("Stats", "_Stats_x", "_Stats_x"),
    ],
)  # fmt: skip
def test_unmangled(owner: str, name: str, plain: str) -> None:
    assert unmangled(type(owner, (), {}), name) == plain


def test_names_are_listed_without_evaluating() -> None:
    class Plain:
        x: Missing
        y: 1 / 0  # type: ignore[valid-type]

    assert body_of(Plain).names() == ["x", "y"]


if sys.version_info >= (3, 12):

    def test_type_statements() -> None:
        space: dict[str, Any] = {}
        exec(
            "from bpfmodel import Struct, u64\ntype Counter = u64\nclass Holder(Struct):\n    x: Counter\n",
            space,
        )
        assert size_of(lower(space["Holder"])) == 8
