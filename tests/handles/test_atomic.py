"""Atomic integers: each operation wraps as C does, and no update is lost, with each backend."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.data import testdata
from support.objects import ObjectBuilder

from bpfmodel import (
    AtomicInt,
    BpfObjects,
    BpfTypeError,
    BpfValueError,
    ClosedError,
    MapFlag,
    MemoryEngine,
    NotSupportedError,
    Program,
    Var,
    boolean,
    f64,
    s32,
    s64,
    u8,
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
        assert counted(objs, lambda: counter.add(1), 3, 1_000_000 if backend == "atomicshm" else 300_000) == 0


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
