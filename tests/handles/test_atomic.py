"""Atomic integers: each operation wraps as C does, and no update is lost, with each backend."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from typing import Literal as L

import pytest
from support.btfwriter import Member
from support.data import testdata
from support.objects import ObjectBuilder

from bpfmodel import (
    Anonymous,
    Array,
    Atomic,
    AtomicInt,
    Bits,
    BpfObjects,
    BpfTypeError,
    BpfValueError,
    ClosedError,
    CString,
    DeclarationError,
    MapFlag,
    MemoryEngine,
    MismatchError,
    NotSupportedError,
    Program,
    Struct,
    Var,
    boolean,
    f64,
    replace,
    s32,
    s64,
    u8,
    u16,
    u32,
    u64,
)
from bpfmodel.engine import Engine, atomics

QUICKSTART = Path(__file__).parent.parent.parent / "samples" / "quickstart" / "quickstart.bpf.o"


class Objects(BpfObjects):
    u32_var: Var[u32]
    u64_var: Var[u64]
    s32_var: Var[s32]
    s64_var: Var[s64]
    u8_var: Var[u8]
    bool_var: Var[boolean]
    double_var: Var[f64]
    msg: Var[str]


@pytest.fixture(params=list(atomics.BACKENDS))
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each backend alone, so that one cannot stand in for the other."""
    chosen = {request.param: atomics.BACKENDS[request.param]}
    monkeypatch.setattr(atomics, "BACKENDS", chosen)
    probe = memoryview(bytearray(8))
    if chosen[request.param](probe) is None:
        pytest.skip(f"{request.param} is not installed")
    return str(request.param)


@pytest.fixture
def objs(engine: Engine, backend: str) -> Iterator[Objects]:
    with Objects.load_and_assign(testdata("scalars"), engine=engine) as loaded:
        yield loaded


INTEGERS = [("u32_var", 32, False), ("u64_var", 64, False), ("s32_var", 32, True), ("s64_var", 64, True)]


def wrapped(value: int, bits: int, signed: bool) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if signed and value >> bits - 1 else value


@pytest.mark.parametrize(("name", "bits", "signed"), INTEGERS)
def test_each_operation_wraps_and_returns_what_was_there(objs: Objects, name: str, bits: int, signed: bool) -> None:
    var: Var[int] = getattr(objs, name)
    high = (1 << bits - signed) - 1
    low = -(1 << bits - 1) if signed else 0
    operations: list[tuple[str, Callable[[int, int], int]]] = [
        ("add", lambda a, b: a + b),
        ("sub", lambda a, b: a - b),
        ("and_", lambda a, b: a & b),
        ("or_", lambda a, b: a | b),
        ("xor", lambda a, b: a ^ b),
    ]
    for operation, meaning in operations:
        for before in (0, 1, high, low, high - 5):
            for operand in (0, 1, -1, 12345, high):
                var.set(before)
                assert getattr(var.atomic(), operation)(operand) == before
                assert var.get() == wrapped(meaning(before, operand), bits, signed), (operation, before, operand)


@pytest.mark.parametrize(("name", "bits", "signed"), INTEGERS)
def test_store_exchange_and_compare_exchange(objs: Objects, name: str, bits: int, signed: bool) -> None:
    var: Var[int] = getattr(objs, name)
    atomic = var.atomic()
    high, low = (1 << bits - signed) - 1, -(1 << bits - 1) if signed else 0
    atomic.store(high)
    assert atomic.load() == var.get() == high
    assert atomic.exchange(low) == high
    assert not atomic.compare_exchange(high, 5)
    assert atomic.load() == low
    assert atomic.compare_exchange(low, 5)
    assert var.get() == 5
    for wrong in (high + 1, low - 1):
        for use in (atomic.store, atomic.exchange, lambda v: atomic.compare_exchange(5, v)):
            with pytest.raises(BpfValueError, match=rf"{name}: {wrong} is out of range \({low} to {high}\)"):
                use(wrong)
    for kind in ("5", 1.5, None):
        with pytest.raises(BpfTypeError, match=name):
            atomic.add(kind)  # type: ignore[arg-type]
    assert var.get() == 5


def test_neighbours_are_left_alone(objs: Objects) -> None:
    before = (objs.u8_var.get(), objs.u64_var.get())
    objs.u32_var.atomic().store(0)
    objs.u32_var.atomic().sub(1)
    assert (objs.u8_var.get(), objs.u64_var.get()) == before
    assert objs.u32_var.get() == 0xFFFFFFFF


@pytest.mark.parametrize("name", ["u8_var", "bool_var", "double_var", "msg"])
def test_only_integers_of_four_and_eight_bytes(objs: Objects, name: str) -> None:
    with pytest.raises(NotSupportedError, match=rf"{name} is .*atomic\(\) takes integers of 4 or 8 bytes"):
        getattr(objs, name).atomic()


def test_use_after_close(engine: Engine, backend: str) -> None:
    with Objects.load_and_assign(testdata("scalars"), engine=engine) as objs:
        atomic, var = objs.u64_var.atomic(), objs.s64_var
        bound = atomic.add
    for use in (lambda: bound(1), atomic.load, lambda: atomic.store(1), var.atomic):
        with pytest.raises(ClosedError, match="closed"):
            use()
    assert repr(atomic) == "<AtomicInt u64_var (closed)>"


def test_misaligned_numbers_have_none(backend: str) -> None:
    builder = ObjectBuilder()
    number, byte = builder.btf.common("__u64"), builder.btf.common("__u8")
    builder.variable("first", byte, 1, ".data", initial=b"\1", align=1)
    builder.variable("odd", number, 8, ".data", initial=bytes(8), align=1)

    class Odd(BpfObjects):
        odd: Var[u64]

    with Odd.load_and_assign(builder.build(), engine=MemoryEngine()) as objs:
        assert objs.odd.offset == 1
        with pytest.raises(NotSupportedError, match="odd: 8 bytes that do not lie at a multiple of 8"):
            objs.odd.atomic()


@pytest.mark.parametrize("window", [bytearray(16), bytearray(2), bytes(8)], ids=["16", "2", "read-only"])
def test_bytes_that_have_none(backend: str, window: bytes | bytearray) -> None:
    with pytest.raises(NotSupportedError, match="bytes have no atomic operations"):
        atomics.cell(memoryview(window))


def test_what_calls_itself_an_integer_is_asked_once(objs: Objects) -> None:
    class Fickle(int):
        def __and__(self, other: int) -> int:
            return 1 << 70

    class Wrong:
        def __index__(self) -> Any:
            return "1"

    atomic = objs.u32_var.atomic()
    atomic.store(Fickle(7))
    assert atomic.add(Fickle(1)) == 7
    assert atomic.load() == 8
    for wrong in (Wrong(), "1", 1.0, None, int):
        for use in (atomic.store, atomic.add, atomic.exchange):
            with pytest.raises(BpfTypeError, match=r"u32_var: .* is no integer"):
                use(wrong)  # type: ignore[arg-type]


def test_the_other_byte_order_has_none(backend: str) -> None:
    class Big(BpfObjects):
        u32_var: Var[u32]

    with (
        Big.load_and_assign(testdata("bigendian"), engine=MemoryEngine()) as objs,
        pytest.raises(NotSupportedError, match="byte order"),
    ):
        objs.u32_var.atomic()


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomics, "_libatomic", None)
    monkeypatch.setitem(sys.modules, "atomicshm", None)

    def nothing(name: str, *_: Any, **__: Any) -> Any:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "PyDLL", nothing)
    with (
        Objects.load_and_assign(testdata("scalars"), engine=MemoryEngine()) as objs,
        pytest.raises(NotSupportedError, match=r"u64_var: .*atomicshm.*libatomic\.so\.1"),
    ):
        objs.u64_var.atomic()


class Quickstart(BpfObjects):
    pkt_count: Var[u64]
    count_packets: Program


def counted(objs: Quickstart, update: Callable[[], object], threads: int, count: int) -> int:
    """Have the program and some threads count at the same time; return how much is missing."""
    objs.pkt_count.set(0)

    def python() -> None:
        for _ in range(count):
            update()

    def program() -> None:
        objs.count_packets.run(bytes(64), repeat=count)

    running = [threading.Thread(target=target) for target in [python] * threads + [program] * 2]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return (threads + 2) * count - objs.pkt_count.get()


@pytest.mark.kernel
def test_no_update_is_lost_against_a_program_and_other_threads(kernel: Engine, backend: str) -> None:
    with Quickstart.load_and_assign(QUICKSTART, engine=kernel) as objs:
        counter = objs.pkt_count.atomic()
        assert isinstance(counter, AtomicInt)
        assert counted(objs, lambda: counter.add(1), 3, 1_000_000) == 0


@pytest.mark.kernel
def test_a_plain_read_and_write_does_lose_updates(kernel: Engine) -> None:
    """What the test above would see if an operation were not atomic."""
    with Quickstart.load_and_assign(QUICKSTART, engine=kernel) as objs:
        var = objs.pkt_count
        lost = 0
        for _ in range(10):
            lost += counted(objs, lambda: var.set(var.get() + 1), 2, 300_000)
            if lost:
                break
        assert lost > 0


@pytest.mark.kernel
def test_where_the_section_cannot_be_mapped(kernel: Engine, backend: str) -> None:
    opened = Objects.open(testdata("scalars"))
    opened.spec.maps[".data"].flags &= ~MapFlag.MMAPABLE
    with (
        opened.load(engine=kernel) as objs,
        pytest.raises(NotSupportedError, match=r"u64_var: section \.data cannot be"),
    ):
        objs.u64_var.atomic()


class Inner(Struct):
    low: u32
    high: Atomic[u32]


class Counters(Struct):
    kind: u8
    hits: Atomic[u64]
    rows: Array[Inner, L[2]]
    byte: u8
    flag: Bits[u32, L[3]]
    per_row: Array[u64, L[3]]
    in_: Anonymous[Inner]


COUNTERS = Counters(1, 2, [Inner(3, 4), Inner(5, 6)], 7, 1, [8, 9, 10], Inner(11, 12))


class Nested(BpfObjects):
    state: Var[Counters]
    table: Var[Array[u64, L[4]]]


def nested() -> bytes:
    """An object with a struct of counters, written by hand."""
    made = ObjectBuilder()
    btf = made.btf
    inner = btf.struct("inner", 8, [("low", btf.common("__u32")), ("high", btf.common("__u32"), 32)])
    counters = btf.struct(
        "counters",
        72,
        [
            Member("kind", btf.common("__u8"), 0),
            Member("hits", btf.common("__u64"), 64),
            Member("rows", btf.array(inner, 2), 128),
            Member("byte", btf.common("__u8"), 256),
            Member("flag", btf.common("__u32"), 264, 3),
            Member("per_row", btf.array(btf.common("__u64"), 3), 320),
            Member("", inner, 512),
        ],
    )
    made.variable("state", counters, 72, section=".data", align=8)
    made.variable("table", btf.array(btf.common("__u64"), 4), 32, section=".data", align=8)
    return made.build()


@pytest.fixture
def inside(engine: Engine, backend: str) -> Iterator[Nested]:
    with Nested.load_and_assign(nested(), engine=engine) as loaded:
        loaded.state.set(COUNTERS)
        yield loaded


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("hits", {"hits": 2 + 100}),
        ("rows[1].high", {"rows": [Inner(3, 4), Inner(5, 106)]}),
        ("per_row[2]", {"per_row": [8, 9, 110]}),
        ("in_.low", {"low": 111}),
        ("high", {"high": 112}),
    ],
)
def test_an_integer_inside_a_struct_by_its_path(inside: Nested, path: str, change: dict[str, Any]) -> None:
    atomic = inside.state.atomic(path)
    assert atomic.name == f"state.{path}"
    atomic.add(100)
    assert inside.state.get() == replace(COUNTERS, **change)
    assert inside.state.atomic(path) is atomic


def test_an_element_of_an_array(inside: Nested) -> None:
    assert inside.table.atomic("[3]").name == "table[3]"
    inside.table.atomic("[3]").sub(1)
    assert inside.table.get() == [0, 0, 0, 2**64 - 1]


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("kind", NotSupportedError, r"state\.kind is .*1 byte.*4 or 8 bytes"),
        ("flag", NotSupportedError, r"state\.flag is a bitfield of 3 bits"),
        ("rows", NotSupportedError, r"state\.rows is struct Inner\[2\]"),
        ("in_", NotSupportedError, r"state\.in_ is struct Inner .*name one inside of it"),
        ("hist", BpfValueError, r"state\.atomic: it has no member hist; it has kind, hits, rows"),
        ("rows[2].low", BpfValueError, r"state\.atomic: rows has 2 elements, and no index 2"),
        ("hits.low", BpfValueError, r"state\.atomic: hits has no member low"),
        ("hits[0]", BpfValueError, "hits has 0 elements, and no index 0"),
        ("rows[-1]", BpfValueError, "is no path"),
        ("rows[1]x", BpfValueError, "is no path"),
        ("rows..low", BpfValueError, "is no path"),
        (3, BpfTypeError, "3 is no path"),
    ],
)
def test_paths_that_lead_to_no_such_integer(inside: Nested, path: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        inside.state.atomic(path)


def test_integers_inside_after_close(engine: Engine, backend: str) -> None:
    objs = Nested.load_and_assign(nested(), engine=engine)
    atomic = objs.state.atomic("hits")
    objs.close()
    with pytest.raises(ClosedError, match=r"state\.hits"):
        atomic.add(1)
    with pytest.raises(ClosedError, match="state"):
        objs.state.atomic("per_row[0]")


def test_what_is_declared_atomic_is_settled_when_the_class_is_made() -> None:
    with pytest.raises(DeclarationError, match=r"Atomic takes integers of 4 or 8 bytes, and not u16"):

        class Short(Struct):
            a: Atomic[u16]

    with pytest.raises(DeclarationError, match=r"Text\.a: Atomic takes integers of 4 or 8 bytes"):

        class Text(BpfObjects):
            a: Var[Atomic[CString[L[8]]]]

    with pytest.raises(DeclarationError, match=r"Packed\.b: Atomic.* of 8 bytes would lie at offset 1"):

        class Packed(Struct, packed=True):
            a: u8
            b: Atomic[u64]

    class Odd(Struct, packed=True):
        a: Atomic[u32]
        b: u8

    with pytest.raises(DeclarationError, match=r"Rows\.rows\[1\]\.a: Atomic.* of 4 bytes would lie at offset 5"):

        class Rows(Struct):
            rows: Array[Odd, L[2]]


def test_what_is_declared_atomic_is_checked_against_the_object() -> None:
    made = ObjectBuilder()
    made.variable("first", made.btf.common("__u8"), 1, section=".data", align=1)
    made.variable("second", made.btf.common("__u64"), 8, section=".data", align=1)
    source = made.build()

    class Plain(BpfObjects):
        second: Var[u64]

    class Marked(BpfObjects):
        second: Var[Atomic[u64]]

    assert Plain.check(source) == ()
    with pytest.raises(MismatchError) as caught:
        Marked.check(source)
    assert [str(finding) for finding in caught.value.findings] == [
        "second: declared Atomic, found 8 bytes at offset 1 of .data (align it to 8 bytes in C)"
    ]
