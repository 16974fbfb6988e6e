"""Layout: members lie where a compiler puts them; what a compiler says is in the BTF of the committed objects."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.data import TESTDATA

from bpfmodel import CollectionSpec, DeclarationError, SourceError
from bpfmodel.btf import kinds
from bpfmodel.btf.layout import Slot, align_of, lay_out, size_of

U8, U16, U32, U64 = (kinds.Int(f"u{8 * size}", size) for size in (1, 2, 4, 8))
S8, S32, S64 = (kinds.Int(f"s{8 * size}", size, kinds.SIGNED) for size in (1, 4, 8))
U128 = kinds.Int("u128", 16)


def compiled() -> list[tuple[str, kinds.Composite]]:
    """All structs and unions in the objects' BTF that have members, the first of each name and object."""
    found = {}
    for path in sorted(TESTDATA.glob("*.bpf.o")):
        for number, type in enumerate(CollectionSpec.from_file(path).types):
            if isinstance(type, kinds.Composite) and type.members:
                label = type.name or f"anonymous {type.keyword} {number}"
                found.setdefault(f"{path.name.partition('.')[0]}-{label}", type)
    return list(found.items())


COMPILED = compiled()


@pytest.mark.parametrize(("label", "type"), COMPILED, ids=[label for label, _ in COMPILED])
def test_as_the_compiler_did(label: str, type: kinds.Composite) -> None:
    slots = [Slot(member.name, member.type, member.bits) for member in type.members]
    packed, union = type.name == "wire", isinstance(type, kinds.Union)
    layout = lay_out(slots, packed=packed, overlap=union)
    assert [(m.name, m.offset, m.bits) for m in layout.members] == [(m.name, m.offset, m.bits) for m in type.members]
    assert layout.size == type.size


def test_the_compiled_ones_are_worth_it() -> None:
    names = {type.name for _, type in COMPILED}
    assert {"stats", "nested", "number", "bits", "wire", "flexible", "zero_length", "event", "xdp_md"} <= names
    assert len(COMPILED) > 40


def plain(*types: kinds.Type) -> list[Slot]:
    return [Slot(chr(97 + index), type) for index, type in enumerate(types)]


def bits(*pairs: tuple[kinds.Type, int]) -> list[Slot]:
    return [Slot(chr(97 + index), type, width) for index, (type, width) in enumerate(pairs)]


# Offsets and sizes as `clang -target bpf -g` (14) gives them to the struct in the comment.
CLANG: dict[str, tuple[list[Slot], dict[str, object], list[int], int]] = {
    # u8 a:3; u16 b:9; u8 c
    "mixed": (bits((U8, 3), (U16, 9), (U8, 0)), {}, [0, 3, 16], 4),
    # u32 a:30; u32 b:4; u8 c:2
    "cross": (bits((U32, 30), (U32, 4), (U8, 2)), {}, [0, 32, 36], 8),
    # u8 a:7; u8 b:2; u8 c:7
    "small": (bits((U8, 7), (U8, 2), (U8, 7)), {}, [0, 8, 16], 3),
    # u64 a:33; u32 b:31; u8 c
    "wide": (bits((U64, 33), (U32, 31), (U8, 0)), {}, [0, 33, 64], 16),
    # u32 a; u8 b:4; u32 c:28; u8 d
    "after": (bits((U32, 0), (U8, 4), (U32, 28), (U8, 0)), {}, [0, 32, 36, 64], 12),
    # u8 a; u64 b:40; u16 c
    "behind a byte": (bits((U8, 0), (U64, 40), (U16, 0)), {}, [0, 8, 48], 8),
    # u32 a:32; u8 b:8; u64 c:64
    "full": (bits((U32, 32), (U8, 8), (U64, 64)), {}, [0, 32, 64], 16),
    # s8 a:1; s32 b:31; s64 c:63; u8 d:1
    "signed": (bits((S8, 1), (S32, 31), (S64, 63), (U8, 1)), {}, [0, 1, 64, 127], 16),
    # packed { u8 a:3; u32 b:30; u16 c:15; u8 d }
    "packed bits": (bits((U8, 3), (U32, 30), (U16, 15), (U8, 0)), {"packed": True}, [0, 3, 33, 48], 7),
    # packed { u32 a:5; u64 b; u8 c:1 }
    "packed around": (bits((U32, 5), (U64, 0), (U8, 1)), {"packed": True}, [0, 8, 72], 10),
    # u8 a:3; u32 b:5 aligned(4); u8 c
    "aligned bits": ([Slot("a", U8, 3), Slot("b", U32, 5, 4), Slot("c", U8)], {}, [0, 32, 40], 8),
    # u8 a; u128 b; u8 c
    "u128": (plain(U8, U128, U8), {}, [0, 128, 256], 48),
    # { u32 a; u8 b } aligned(16)
    "aligned": (plain(U32, U8), {"align": 16}, [0, 32], 16),
    # u8 a; u32 b aligned(16); u8 c
    "aligned member": ([Slot("a", U8), Slot("b", U32, 0, 16), Slot("c", U8)], {}, [0, 128, 160], 32),
    # packed, aligned(4) { u8 a; u32 b }
    "packed and aligned": (plain(U8, U32), {"packed": True, "align": 4}, [0, 8], 8),
    # packed { u8 a; u32 b aligned(4); u8 c }
    "packed, aligned member": (
        [Slot("a", U8), Slot("b", U32, 0, 4), Slot("c", U8)], {"packed": True}, [0, 32, 64], 12,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CLANG)
def test_as_clang_does(case: str) -> None:
    slots, options, offsets, size = CLANG[case]
    layout = lay_out(slots, **options)  # type: ignore[arg-type]
    assert [member.offset for member in layout.members] == offsets
    assert layout.size == size


def struct(slots: list[Slot], **options: object) -> kinds.Struct:
    layout = lay_out(slots, **options)  # type: ignore[arg-type]
    return kinds.Struct("inner", layout.size, layout.members, None, layout.align)


def test_a_struct_keeps_its_alignment_inside_another() -> None:
    # u8 a; struct { u32 a; u8 b } aligned(16) b; u8 c: clang says 0, 16, 32 of 48
    layout = lay_out(plain(U8, struct(plain(U32, U8), align=16), U8))
    assert [member.offset // 8 for member in layout.members] == [0, 16, 32]
    assert (layout.size, layout.align) == (48, 16)


def test_packed_structs_inside_another() -> None:
    # u8 a; struct packal b; struct pbits c: clang says 0, 4, 12 of 20
    packal = struct(plain(U8, U32), packed=True, align=4)
    pbits = struct(bits((U8, 3), (U32, 30), (U16, 15), (U8, 0)), packed=True)
    layout = lay_out(plain(U8, packal, pbits))
    assert [member.offset // 8 for member in layout.members] == [0, 4, 12]
    assert layout.size == 20


def test_an_array_is_aligned_like_its_elements() -> None:
    layout = lay_out(plain(U8, kinds.Array(kinds.Array(U32, 3), 2), kinds.Array(U8, 5)))
    assert [member.offset // 8 for member in layout.members] == [0, 4, 28]
    assert layout.size == 36


def test_qualifiers_and_typedefs_change_nothing() -> None:
    hidden = kinds.Typedef("t", kinds.Const("", kinds.Volatile("", kinds.TypeTag("x", U64))))
    assert (size_of(hidden), align_of(hidden)) == (8, 8)
    assert [member.offset for member in lay_out(plain(U8, hidden)).members] == [0, 64]


@pytest.mark.parametrize(
    ("type", "size", "align"),
    [
        (U8, 1, 1), (U128, 16, 16), (kinds.Ptr(kinds.VOID), 8, 8), (kinds.Float("double", 8), 8, 8),
        (kinds.Enum("tiny", 1, False, ()), 1, 1), (kinds.Enum("wide", 8, True, ()), 8, 8),
        (kinds.Array(U16, 0), 0, 2), (kinds.Array(U64, 3), 24, 8), (kinds.Struct("empty", 0, ()), 0, 1),
    ],
)  # fmt: skip
def test_size_and_alignment(type: kinds.Type, size: int, align: int) -> None:
    assert (size_of(type), align_of(type)) == (size, align)


@pytest.mark.parametrize("type", [kinds.VOID, kinds.Fwd("x", False), kinds.FuncProto(kinds.VOID, ())])
def test_a_member_without_a_size(type: kinds.Type) -> None:
    with pytest.raises(SourceError, match="has no size"):
        lay_out(plain(type))


@pytest.mark.parametrize("align", [-1, 3, 6, 12])
def test_an_alignment_is_a_power_of_two(align: int) -> None:
    with pytest.raises(DeclarationError, match=f"align: an alignment is a power of two, not {align}"):
        lay_out(plain(U8), align=align)
    with pytest.raises(DeclarationError, match=f"x: an alignment is a power of two, not {align}"):
        lay_out([Slot("x", U8, 0, align)])


def test_a_bitfield_wider_than_its_type() -> None:
    with pytest.raises(DeclarationError, match="x: a bitfield of 9 bits in a type of 8"):
        lay_out([Slot("x", U8, 9)])


def test_a_union_lies_on_itself() -> None:
    layout = lay_out(plain(U8, U64, kinds.Array(U32, 5)), overlap=True)
    assert [member.offset for member in layout.members] == [0, 0, 0]
    assert (layout.size, layout.align) == (24, 8)


# The machine that runs the tests is asked as well, wherever it lays structs out as BPF does.

C_TYPES = {
    ctypes.c_uint8: U8, ctypes.c_uint16: U16, ctypes.c_uint32: U32, ctypes.c_int64: S64,
    ctypes.c_float: kinds.Float("float", 4), ctypes.c_double: kinds.Float("double", 8), ctypes.c_bool: U8,
}  # fmt: skip
scalars = st.sampled_from(list(C_TYPES.items()))


def arrays(inner: st.SearchStrategy[tuple[type, kinds.Type]]) -> st.SearchStrategy[tuple[type, kinds.Type]]:
    return st.builds(lambda pair, n: (pair[0] * n, kinds.Array(pair[1], n)), inner, st.integers(1, 4))


def structs(inner: st.SearchStrategy[tuple[type, kinds.Type]]) -> st.SearchStrategy[tuple[type, kinds.Type]]:
    def build(members: list[tuple[type, kinds.Type]], packed: bool) -> tuple[type, kinds.Type]:
        body: dict[str, object] = {"_fields_": [(f"m{n}", c) for n, (c, _) in enumerate(members)]}
        if packed:
            body = {"_pack_": 1, "_layout_": "ms", **body}
        slots = [Slot(f"m{n}", member) for n, (_, member) in enumerate(members)]
        return type("S", (ctypes.Structure,), body), struct(slots, packed=packed)

    return st.builds(build, st.lists(inner, min_size=1, max_size=6), st.booleans())


anything = st.recursive(scalars, lambda inner: st.one_of(arrays(inner), structs(inner)), max_leaves=12)


@pytest.mark.skipif(ctypes.alignment(ctypes.c_int64) != 8, reason="this machine aligns 8 bytes otherwise")
@settings(max_examples=150, deadline=None)
@given(structs(anything))
def test_as_this_machine_does(pair: tuple[type, kinds.Type]) -> None:
    c, ours = pair
    assert isinstance(ours, kinds.Struct)
    theirs = [getattr(c, member.name).offset for member in ours.members]
    assert [member.offset // 8 for member in ours.members] == theirs
    assert (size_of(ours), align_of(ours)) == (ctypes.sizeof(c), ctypes.alignment(c))  # type: ignore[arg-type]
