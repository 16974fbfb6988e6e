"""After close every handle raises ClosedError, over both engines, and closing twice is fine."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any
from typing import Literal as L

import pytest
from support.data import testdata

from bpfmodel import (
    ArrayMap,
    BpfObjects,
    Bytes,
    ClosedError,
    Const,
    CString,
    Engine,
    HashMap,
    Program,
    Var,
    boolean,
    s128,
    u32,
    u64,
)


class Part(BpfObjects):
    ro_u32: Const[u32]
    ro_mac: Const[Bytes[L[6]]]


class Variables(BpfObjects):
    u64_var: Var[u64]
    s128_var: Var[s128]
    bool_var: Var[boolean]
    msg: Var[CString[L[13]]]
    part: Part
    bump: Program


class Maps(BpfObjects):
    good_map: HashMap[u32, u64]
    spare_map: ArrayMap[u32]
    good: Program


VARIABLES: dict[str, Callable[[Variables], Callable[[], object]]] = {
    "get a number": lambda o: o.u64_var.get,
    "get a wide number": lambda o: o.s128_var.get,
    "get a bool": lambda o: o.bool_var.get,
    "get a text": lambda o: o.msg.get,
    "get a constant": lambda o: o.part.ro_u32.get,
    "get a constant array": lambda o: o.part.ro_mac.get,
    "set a number": lambda o: lambda v=o.u64_var: v.set(1),
    "set a wide number": lambda o: lambda v=o.s128_var: v.set(1),
    "set a bool": lambda o: lambda v=o.bool_var: v.set(True),
    "set a text": lambda o: lambda v=o.msg: v.set("x"),
    "set what would not fit": lambda o: lambda v=o.u64_var: v.set(-1),
    "memory": lambda o: lambda v=o.u64_var: v.memory,
    "memory of a constant": lambda o: lambda v=o.part.ro_mac: v.memory,
    "fileno of a program": lambda o: o.bump.fileno,
}


@pytest.mark.parametrize("use", VARIABLES.values(), ids=VARIABLES.keys())
def test_variables_after_close(engine: Engine, use: Callable[[Variables], Callable[[], object]]) -> None:
    objs = Variables.load_and_assign(testdata("scalars"), engine=engine)
    taken = use(objs)
    objs.close()
    with pytest.raises(ClosedError, match="closed"):
        taken()


def test_memory_that_was_asked_for_before_is_taken_back(engine: Engine) -> None:
    objs = Variables.load_and_assign(testdata("scalars"), engine=engine)
    memory = objs.u64_var.memory
    objs.close()
    with pytest.raises(ValueError, match="released"):
        memory[0]
    with pytest.raises(ClosedError):
        _ = objs.u64_var.memory


def test_memory_that_something_else_holds_on_to_is_not_handed_out_again(engine: Engine) -> None:
    objs = Variables.load_and_assign(testdata("scalars"), engine=engine)
    held = struct.iter_unpack("Q", objs.u64_var.memory)  # holds the buffer itself, as a NumPy array would
    objs.close()
    assert next(held) == (0x0123456789ABCDEF,)  # still there, and no crash
    with pytest.raises(ClosedError):
        objs.u64_var.get()
    with pytest.raises(ClosedError):
        _ = objs.u64_var.memory


MAPS: dict[str, Callable[[Maps], Callable[[], object]]] = {
    "hash get": lambda o: lambda m=o.good_map: m[1],
    "hash set": lambda o: lambda m=o.good_map: m.__setitem__(1, 1),
    "hash del": lambda o: lambda m=o.good_map: m.__delitem__(1),
    "hash in": lambda o: lambda m=o.good_map: 1 in m,
    "hash get with default": lambda o: lambda m=o.good_map: m.get(1, 0),
    "hash iter": lambda o: lambda m=o.good_map: list(m),
    "hash len": lambda o: lambda m=o.good_map: len(m),
    "hash clear": lambda o: o.good_map.clear,
    "hash pop": lambda o: lambda m=o.good_map: m.pop(1, None),
    "hash items": lambda o: lambda m=o.good_map: list(m.items()),
    "hash update": lambda o: lambda m=o.good_map: m.update({1: 2}),
    "hash fileno": lambda o: o.good_map.fileno,
    "array get": lambda o: lambda m=o.spare_map: m[1],
    "array set": lambda o: lambda m=o.spare_map: m.__setitem__(1, 1),
    "array iter": lambda o: lambda m=o.spare_map: list(m),
    "array in": lambda o: lambda m=o.spare_map: 1 in m,
    "array fileno": lambda o: o.spare_map.fileno,
}


@pytest.mark.parametrize("use", MAPS.values(), ids=MAPS.keys())
def test_maps_after_close(engine: Engine, use: Callable[[Maps], Callable[[], object]]) -> None:
    objs = Maps.load_and_assign(testdata("lazy"), engine=engine)
    objs.good_map[1] = 1
    taken = use(objs)
    objs.close()
    with pytest.raises(ClosedError, match="closed"):
        taken()


def test_iterating_over_items_when_the_object_closes(engine: Engine) -> None:
    objs = Maps.load_and_assign(testdata("lazy"), engine=engine)
    objs.good_map.update({1: 1, 2: 2, 3: 3})
    items, elements = iter(objs.good_map.items()), iter(objs.spare_map)
    next(items), next(elements)
    objs.close()
    with pytest.raises(ClosedError):
        next(items)
    with pytest.raises(ClosedError):
        next(elements)


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda p: p.run(bytes(14)), id="run"),
        pytest.param(lambda p: p.attach(), id="attach"),
        pytest.param(lambda p: p.attach_xdp("lo"), id="attach_xdp"),
        pytest.param(lambda p: p.fileno(), id="fileno"),
    ],
)
def test_programs_after_close(engine: Engine, use: Callable[[Program], object]) -> None:
    objs = Maps.load_and_assign(testdata("lazy"), engine=engine)
    program = objs.good
    objs.close()
    with pytest.raises(ClosedError, match="closed"):
        use(program)


@pytest.mark.kernel
@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda link, other, path: link.detach(), id="detach"),
        pytest.param(lambda link, other, path: link.update(other), id="update"),
        pytest.param(lambda link, other, path: link.pin(path), id="pin"),
    ],
)
@pytest.mark.parametrize("by", ["link", "object"])
def test_links_after_close(kernel: Engine, use: Callable[..., object], by: str, tmp_path: Any) -> None:
    class Attach(BpfObjects):
        count_tp: Program

    with Attach.load_and_assign(testdata("attach"), engine=kernel) as objs:
        link = objs.count_tp.attach()
        (link if by == "link" else objs).close()
        assert link.closed
        with pytest.raises(ClosedError, match="count_tp"):
            use(link, objs.count_tp, tmp_path / "link")
        link.close()


@pytest.mark.kernel
def test_a_link_is_not_updated_to_a_closed_program(kernel: Engine) -> None:
    class Attach(BpfObjects):
        count_raw_tp: Program

    other = Attach.load_and_assign(testdata("attach"), engine=kernel)
    gone = other.count_raw_tp
    other.close()
    with (
        Attach.load_and_assign(testdata("attach"), engine=kernel) as objs,
        objs.count_raw_tp.attach() as link,
        pytest.raises(ClosedError),
    ):
        link.update(gone)


def test_closing_again_is_fine_and_the_state_is_told(engine: Engine) -> None:
    objs = Variables.load_and_assign(testdata("scalars"), engine=engine)
    assert not objs.closed and not objs.part.closed
    objs.close()
    objs.close()
    assert objs.closed and objs.part.closed
    assert "closed" in repr(objs)
    for shown in (repr(objs.u64_var), repr(objs.bump), repr(objs.part)):
        assert shown


def test_closing_a_part_closes_the_whole(engine: Engine) -> None:
    objs = Variables.load_and_assign(testdata("scalars"), engine=engine)
    objs.part.close()
    assert objs.closed
    with pytest.raises(ClosedError):
        objs.u64_var.get()


def test_the_with_block_closes_also_when_it_fails(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError), Maps.load_and_assign(testdata("lazy"), engine=engine) as objs:
        _ = 1 / 0
    with pytest.raises(ClosedError):
        objs.good_map[1]


def test_metadata_stays_readable(engine: Engine) -> None:
    objs = Variables.load_and_assign(testdata("scalars"), engine=engine)
    objs.close()
    assert (objs.u64_var.name, objs.u64_var.section, objs.u64_var.size) == ("u64_var", ".data", 8)
    assert objs.bump.section == "syscall"
