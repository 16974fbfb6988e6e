"""`numpy()`: the variable's memory itself, with the layout that C gives it."""

from __future__ import annotations

from typing import Any
from typing import Literal as L

import pytest
from handles.test_rich_types import Flags, Nested, Number, Wire
from support.data import testdata

from bpfmodel import (
    Array,
    Bits,
    BpfObjects,
    Bytes,
    ClosedError,
    CollectionSpec,
    Const,
    CString,
    MapFlag,
    MemoryEngine,
    NotSupportedError,
    Program,
    Struct,
    Union,
    Var,
    boolean,
    f32,
    pointer,
    s16,
    u8,
    u16,
    u32,
    u64,
    u128,
)
from bpfmodel.engine import Engine
from bpfmodel.types.dtypes import dtype_of

np = pytest.importorskip("numpy", reason="NumPy is an extra, and not installed")


class Objects(BpfObjects):
    u64_var: Var[u64]
    nested: Var[Nested]
    number: Var[Number]
    bits: Var[Flags]
    wire: Var[Wire]
    arr: Var[Array[u32, L[4]]]
    matrix: Var[Array[Array[u64, L[3]], L[2]]]
    flags: Var[Array[boolean, L[3]]]
    msg: Var[CString[L[13]]]
    stats: Var[Any]
    ro_arr: Const[Array[u32, L[4]]]
    ro_bits: Const[Flags]


class Everything(Struct, packed=True):
    one: u8
    wide: u128
    where: pointer
    text: CString[L[5]]
    raw: Bytes[L[3]]
    half: f32
    grid: Array[Array[s16, L[3]], L[2]]
    low: Bits[u16, L[3]]
    high: Bits[u16, L[7]]
    on: boolean


class Both(Union):
    whole: u64
    parts: Array[u16, L[3]]


def test_scalars_and_arrays_share_the_memory(engine: Engine) -> None:
    with Objects.load_and_assign(testdata("scalars"), engine=engine) as objs:
        number = objs.u64_var.numpy()
        assert number.shape == ()
        assert number.dtype == np.uint64
        number[...] = 5
        assert objs.u64_var.get() == 5
        array, matrix = objs.arr.numpy(), objs.matrix.numpy()
        assert (array.shape, matrix.shape, objs.flags.numpy().dtype) == ((4,), (2, 3), np.bool_)
        assert array.tolist() == objs.arr.get()
        assert matrix.tolist() == objs.matrix.get()
        matrix[1, 2] = 1 << 63
        objs.matrix.ref()[0][1] = 17
        assert objs.matrix.get()[1][2] == 1 << 63
        assert matrix[0, 1] == 17
        assert objs.msg.numpy().item() == objs.msg.get().encode()


def test_structs_have_their_members_where_c_has_them(engine: Engine) -> None:
    with Objects.load_and_assign(testdata("scalars"), engine=engine) as objs:
        for var in (objs.nested, objs.wire, objs.number, objs.bits):
            made = var.numpy()
            assert made.dtype.itemsize == var.size
            assert made.tobytes() == bytes(var.memory)
        wire = objs.wire.numpy()
        declared = {member.attribute: member.offset // 8 for member in Wire.__bpf_type__().members}
        assert {name: wire.dtype.fields[name][1] for name in wire.dtype.names} == declared
        names = objs.stats.numpy().dtype.names
        assert list(names) == list(objs.stats.get()), "a loose struct has the names of C"


def test_each_kind_of_member() -> None:
    dtype = dtype_of(Everything.__bpf_type__(), "little")
    places = {name: (str(inner.base), inner.shape, at) for name, (inner, at) in dtype.fields.items()}
    assert places == {
        "one": ("uint8", (), 0),
        "wide": ("|V16", (), 1),
        "where": ("uint64", (), 17),
        "text": ("|S5", (), 25),
        "raw": ("uint8", (3,), 30),
        "half": ("float32", (), 33),
        "grid": ("int16", (2, 3), 37),
        "low|high": ("uint16", (), 49),
        "on": ("bool", (), 51),
    }
    assert dtype.itemsize == 52 == Everything.__bpf_type__().size
    assert dtype_of(Both.__bpf_type__(), "big").fields["parts"][0].base == np.dtype(">u2")
    assert [at for _, at in dtype_of(Both.__bpf_type__(), "little").fields.values()] == [0, 0]


def test_constants_cannot_be_written(engine: Engine) -> None:
    with Objects.load_and_assign(testdata("scalars"), engine=engine) as objs:
        for const in (objs.ro_arr, objs.ro_bits):
            array = const.numpy()
            assert not array.flags.writeable
            with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
                array.flags.writeable = True
        with pytest.raises(ValueError, match="read-only"):
            objs.ro_arr.numpy()[0] = 1


def test_use_after_close(engine: Engine) -> None:
    objs = Objects.load_and_assign(testdata("scalars"), engine=engine)
    array = objs.arr.numpy()
    objs.close()
    with pytest.raises(ClosedError):
        objs.arr.numpy()
    array[0] = 7  # its memory outlives the handle: no crash
    assert array[0] == 7


def test_the_byte_order_is_the_objects() -> None:
    class Big(BpfObjects):
        u32_var: Var[u32]

    spec = CollectionSpec.from_file(testdata("bigendian"))
    with Big.load_and_assign(spec, engine=MemoryEngine()) as objs:
        assert objs.u32_var.numpy().dtype == np.dtype(">u4")
        assert objs.u32_var.numpy().item() == objs.u32_var.get()


def test_where_the_section_cannot_be_mapped(kernel: Engine) -> None:
    opened = Objects.open(testdata("scalars"))
    opened.spec.maps[".data"].flags &= ~MapFlag.MMAPABLE
    with opened.load(engine=kernel) as objs, pytest.raises(NotSupportedError, match="cannot be mapped"):
        objs.arr.numpy()


def test_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "numpy", None)
    with (
        Objects.load_and_assign(testdata("scalars"), engine=MemoryEngine()) as objs,
        pytest.raises(NotSupportedError, match=r"NumPy .*pip install 'bpfmodel\[numpy\]'"),
    ):
        objs.arr.numpy()


@pytest.mark.kernel
def test_a_program_sees_and_is_seen(kernel: Engine) -> None:
    class Running(BpfObjects):
        u64_var: Var[u64]
        bump: Program

    with Running.load_and_assign(testdata("scalars"), engine=kernel) as objs:
        array = objs.u64_var.numpy()
        array[...] = 41
        objs.bump.run()
        assert array.item() == objs.u64_var.get() == 42
