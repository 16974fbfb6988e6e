"""Only what a class names, and what that refers to, is created; broken siblings in the object are in nobody's way."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Set
from typing import Any

import pytest
from support.data import testdata

from bpfmodel import (
    ArrayMap,
    BpfObjects,
    CollectionSpec,
    Const,
    Engine,
    HashMap,
    LoadError,
    LoadOptions,
    MapError,
    Program,
    Var,
    VerifierError,
    field,
    u32,
    u64,
)
from bpfmodel.engine.base import LoadedObject

pytestmark = pytest.mark.kernel

# Names that no other process on this machine uses: the letters take the place of "good" and of its kin.
TAG = "".join(chr(ord("a") + os.getpid() // 26**digit % 26) for digit in range(4))


def tagged() -> CollectionSpec:
    """Read lazy.bpf.o with `good`, `spare` and `broken` spelt in a way of our own, of the same length."""
    data = testdata("lazy").read_bytes()
    for word, own in ((b"good", TAG), (b"spare", f"s{TAG}"), (b"broken", f"br{TAG}")):
        data = data.replace(word, own.encode())
    return CollectionSpec.from_bytes(data, name=f"z{TAG}.bpf.o")


class Good(BpfObjects):
    good_var: Var[u64] = field(name=f"{TAG}_var")
    good: Program = field(name=TAG)


class GoodAndMap(Good):
    good_map: HashMap[u32, u64] = field(name=f"{TAG}_map")


class OnlyVariable(BpfObjects):
    good_var: Var[u64] = field(name=f"{TAG}_var")


class OnlyMap(BpfObjects):
    spare: ArrayMap[u32] = field(name=f"s{TAG}_map")


class BrokenProgram(Good):
    broken: Program = field(name=f"br{TAG}")


class BrokenMap(Good):
    broken: HashMap[u32, u64] = field(name=f"br{TAG}_map")


class BrokenUser(Good):
    broken: Program = field(name=f"br{TAG}_user")


class Nothing(BpfObjects):
    pass


@pytest.fixture(autouse=True)
def settled(gone_from_kernel: Callable[[str], bool]) -> None:
    """The kernel frees what a program held a moment after the program: wait for what the test before left."""
    assert gone_from_kernel(TAG)


def test_only_what_is_named_and_needed_exists(in_kernel: Callable[[str], list[str]], kernel: Engine) -> None:
    spec = tagged()
    with Good.load_and_assign(spec, engine=kernel) as objs:
        # The program brings its map and its variables' section along; spare_map and all that is broken stay away.
        assert in_kernel(TAG) == sorted([TAG, f"{TAG}_map", f"z{TAG}.bss"])
        assert objs.good.run(bytes(14)).retval == 2
        assert objs.good_var.get() == 1


def test_what_comes_along_works(kernel: Engine) -> None:
    with GoodAndMap.load_and_assign(tagged(), engine=kernel) as objs:
        for _ in range(3):
            objs.good.run(bytes(14))
        assert dict(objs.good_map) == {1: 3}


def test_a_variable_alone_is_one_map(in_kernel: Callable[[str], list[str]], kernel: Engine) -> None:
    with OnlyVariable.load_and_assign(tagged(), engine=kernel):
        assert in_kernel(TAG) == [f"z{TAG}.bss"]


def test_a_map_alone_is_one_map(in_kernel: Callable[[str], list[str]], kernel: Engine) -> None:
    with OnlyMap.load_and_assign(tagged(), engine=kernel):
        assert in_kernel(TAG) == [f"s{TAG}_map"]


def test_a_class_without_fields_creates_nothing(in_kernel: Callable[[str], list[str]], kernel: Engine) -> None:
    with Nothing.load_and_assign(tagged(), engine=kernel):
        assert in_kernel(TAG) == []


def bpf_descriptors() -> list[str]:
    """List what kinds of BPF objects this process has open."""
    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return sorted(target for target in (os.readlink(link) for link in links if os.path.islink(link)) if "bpf" in target)


def test_this_process_holds_just_those(kernel: Engine) -> None:
    gc.collect()
    before = bpf_descriptors()
    with OnlyMap.load_and_assign(tagged(), engine=kernel) as objs:
        opened = bpf_descriptors()
        assert opened.count("anon_inode:bpf-map") > before.count("anon_inode:bpf-map")
        assert opened.count("anon_inode:bpf-prog") == before.count("anon_inode:bpf-prog")
        assert objs.spare.fileno() > 2
    assert bpf_descriptors() == before


def test_closing_frees_all_of_it(gone_from_kernel: Callable[[str], bool], kernel: Engine) -> None:
    GoodAndMap.load_and_assign(tagged(), engine=kernel).close()
    assert gone_from_kernel(TAG)


@pytest.mark.parametrize(
    ("cls", "error"), [(BrokenProgram, VerifierError), (BrokenMap, LoadError), (BrokenUser, LoadError)]
)
def test_a_failure_leaves_nothing_behind(
    cls: Any,
    error: type[Exception],
    gone_from_kernel: Callable[[str], bool],
    held: Callable[[], int],
    kernel: Engine,
) -> None:
    before = held()
    with pytest.raises(error):
        cls.load_and_assign(tagged(), engine=kernel)
    assert held() == before
    assert gone_from_kernel(TAG)


class Unmapping(Engine):
    """Loads into the kernel, and then fails where the handles of variables are made."""

    def __init__(self, inner: Engine) -> None:
        self.name, self._inner = inner.name, inner

    def load(self, spec: CollectionSpec, maps: Set[str], programs: Set[str], options: LoadOptions) -> LoadedObject:
        loaded = self._inner.load(spec, maps, programs, options)

        def fail() -> memoryview:
            raise RuntimeError("on the way")

        for held in loaded.maps.values():
            held.memory = fail  # type: ignore[method-assign]
        return loaded


def test_a_failure_after_the_engine_is_done_leaves_nothing_behind(
    gone_from_kernel: Callable[[str], bool], held: Callable[[], int], kernel: Engine
) -> None:
    before = held()
    with pytest.raises(RuntimeError, match="on the way"):
        Good.load_and_assign(tagged(), engine=Unmapping(kernel))
    assert held() == before
    assert gone_from_kernel(TAG)


def test_an_unwanted_program_array_is_in_nobodys_way(kernel: Engine) -> None:
    class Flows(BpfObjects):
        counters: ArrayMap[u64]

    # Its neighbour `jmp` is filled with programs, none of which is wanted here.
    with Flows.load_and_assign(testdata("maps"), engine=kernel) as objs:
        objs.counters[0] = 1
        assert objs.counters[0] == 1


def test_programs_marked_as_optional_load_when_they_are_named(kernel: Engine) -> None:
    class Off(BpfObjects):
        n_xdp_off: Var[u64]
        count_xdp_off: Program

    with Off.load_and_assign(testdata("attach"), engine=kernel) as objs:
        assert objs.count_xdp_off.run(bytes(14)).retval == 1
        assert objs.n_xdp_off.get() == 1


def test_calls_of_other_functions_bring_their_maps_along(kernel: Engine) -> None:
    class Via(BpfObjects):
        via_static: Program
        via_callback: Program
        lonely: Program

    with Via.load_and_assign(testdata("closure"), engine=kernel) as objs:
        for program in (objs.via_static, objs.via_callback, objs.lonely):
            assert program.fileno() > 2


# Specs and loading.


class Verdict(BpfObjects):
    mode: Const[u32]
    guarded: Program


def test_constants_are_frozen_before_the_verifier_looks(kernel: Engine) -> None:
    with Verdict.load_and_assign(testdata("verdict"), constants={"mode": 42}, engine=kernel) as objs:
        assert objs.guarded.run(bytes(14)).retval == 2
        assert objs.mode.get() == 42
    for mode in (0, 41, 43):
        with pytest.raises(VerifierError) as caught:
            Verdict.load_and_assign(testdata("verdict"), constants={"mode": mode}, engine=kernel)
        assert caught.value.program == "guarded"


def test_the_kernel_refuses_to_change_a_loaded_constant(kernel: Engine) -> None:
    loaded = kernel.load(CollectionSpec.from_file(testdata("verdict")), {".rodata"}, set(), LoadOptions())
    try:
        with pytest.raises(MapError):
            loaded.maps[".rodata"].update(bytes(4), bytes(loaded.maps[".rodata"].value_size))
    finally:
        loaded.close()


def test_loading_leaves_the_spec_as_it_was_and_it_loads_again(kernel: Engine) -> None:
    spec = CollectionSpec.from_file(testdata("scalars"))
    before = spec.copy()

    class Objects(BpfObjects):
        u64_var: Var[u64]
        ro_u32: Const[u32]
        bump: Program

    for value in (7, 8, 9):
        with Objects.load_and_assign(spec, constants={"ro_u32": value}, engine=kernel) as objs:
            objs.u64_var.set(value)
            objs.bump.run()
            assert (objs.ro_u32.get(), objs.u64_var.get()) == (value, value + 1)
    assert (spec.maps, spec.programs, spec.variables) == (before.maps, before.programs, before.variables)
    assert spec.variables["ro_u32"].get() == 4000000


def test_one_open_object_loads_several_times_side_by_side(kernel: Engine) -> None:
    opened = Verdict.open(testdata("verdict")).set(Verdict.mode, 42)
    before = opened.spec.copy()
    with opened.load(engine=kernel) as one, opened.load(engine=kernel) as two:
        assert one.guarded.fileno() != two.guarded.fileno()
        one.close()
        assert two.guarded.run(bytes(14)).retval == 2
    assert (opened.spec.maps, opened.spec.variables) == (before.maps, before.variables)


def test_initial_values_of_writable_variables_are_there_at_the_start(kernel: Engine) -> None:
    with Good.open(tagged()).set(Good.good_var, 100).load(engine=kernel) as objs:
        objs.good.run(bytes(14))
        assert objs.good_var.get() == 101
