"""A thousand times, and from several threads at once: nothing piles up, and nobody hears what another's load said."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.data import testdata

from bpfmodel import (
    BpfObjects,
    CollectionSpec,
    Const,
    Engine,
    HashMap,
    LoadError,
    LoadOptions,
    Program,
    Var,
    VerifierError,
    u32,
    u64,
)

pytestmark = pytest.mark.kernel

TIMES = 1000


class Good(BpfObjects):
    good_var: Var[u64]
    good_map: HashMap[u32, u64]
    good: Program


class Broken(BpfObjects):
    good_var: Var[u64]
    broken: Program


class BrokenMap(BpfObjects):
    good: Program
    broken_map: HashMap[u32, u64]


class Attach(BpfObjects):
    n_tp: Var[u64]
    count_tp: Program


class Verdict(BpfObjects):
    mode: Const[u32]
    guarded: Program


def mappings() -> int:
    with open("/proc/self/maps") as file:
        return sum("bpf" in line for line in file)


def test_loading_and_closing(kernel: Engine, held: Callable[[], int]) -> None:
    spec = CollectionSpec.from_file(testdata("lazy"))
    before = held(), mappings()
    for number in range(TIMES):
        with Good.load_and_assign(spec, engine=kernel) as objs:
            objs.good_var.set(number)
            objs.good_map[1] = number
    gc.collect()
    assert (held(), mappings()) == before


def test_loading_and_forgetting(kernel: Engine, held: Callable[[], int]) -> None:
    spec = CollectionSpec.from_file(testdata("lazy"))
    gc.collect()
    before = held(), mappings()
    for number in range(TIMES):
        Good.load_and_assign(spec, engine=kernel).good_var.set(number)
    gc.collect()
    assert (held(), mappings()) == before


@pytest.mark.parametrize(("cls", "error"), [(Broken, VerifierError), (BrokenMap, LoadError)])
def test_failing_to_load(
    kernel: Engine, held: Callable[[], int], cls: type[BpfObjects], error: type[LoadError]
) -> None:
    spec = CollectionSpec.from_file(testdata("lazy"))
    before = held(), mappings()
    for _ in range(TIMES):
        with pytest.raises(error):
            cls.load_and_assign(spec, engine=kernel)
    gc.collect()
    assert (held(), mappings()) == before


def test_attaching_and_closing(kernel: Engine, held: Callable[[], int]) -> None:
    with Attach.load_and_assign(testdata("attach"), engine=kernel) as objs:
        objs.count_tp.attach().close()
        before = held()
        for _ in range(15):  # the kernel waits a while for each
            objs.count_tp.attach().close()
        assert held() == before


def test_failing_to_attach(kernel: Engine, held: Callable[[], int]) -> None:
    class Probe(BpfObjects):
        count_xdp: Program

    with Probe.load_and_assign(testdata("attach"), engine=kernel) as objs:
        before = held()
        for _ in range(TIMES):
            with pytest.raises(OSError, match="count_xdp"):
                objs.count_xdp.attach()
            with pytest.raises(OSError, match="count_xdp"):
                objs.count_xdp.attach_xdp(99999)
        assert held() == before


REJECTED = {
    "no_bounds": "data[12]",
    "null_map": "*value += 1",
    "uninit": "!read_ok",
    "bad_index": "slots[",
    "bad_helper": "bpf_skb_load_bytes",
    "leak": "reference",
    "bad_return": "return 77",
}


def reject(spec: CollectionSpec, name: str, engine: Engine, level: int) -> VerifierError:
    cls = type("Only", (BpfObjects,), {"__annotations__": {name: Program}, "__module__": __name__})
    with pytest.raises(VerifierError) as caught:
        cls.load_and_assign(spec, engine=engine, options=LoadOptions(log_level=level))
    return caught.value


@pytest.mark.parametrize("level", [0, 1])
def test_threads_that_fail_at_once_hear_only_of_their_own(kernel: Engine, level: int) -> None:
    spec = CollectionSpec.from_file(testdata("verifier"))
    start = threading.Barrier(len(REJECTED))

    def work(name: str) -> None:
        start.wait(10)
        for _ in range(20):
            error = reject(spec, name, kernel, level)
            assert error.program == name
            assert REJECTED[name] in str(error)
            assert REJECTED[name] in error.log
            assert not any(f"'{other}'" in error.log for other in REJECTED if other != name)

    with ThreadPoolExecutor(len(REJECTED)) as pool:
        for done in [pool.submit(work, name) for name in REJECTED]:
            done.result(30)


def test_threads_that_load_at_once(kernel: Engine, held: Callable[[], int]) -> None:
    lazy, verdict = CollectionSpec.from_file(testdata("lazy")), CollectionSpec.from_file(testdata("verdict"))
    gc.collect()
    before = held()

    def work(number: int) -> None:
        for round in range(15):
            with Good.load_and_assign(lazy, engine=kernel) as objs:
                objs.good_var.set(number)
                assert objs.good.run(bytes(14)).retval == 2
                assert dict(objs.good_map) == {1: number + 1}
            if number % 2:
                with Verdict.load_and_assign(verdict, constants={"mode": 42}, engine=kernel) as objs2:
                    assert objs2.guarded.run(bytes(14)).retval == 2
            else:
                with pytest.raises(VerifierError, match="guarded"):
                    Verdict.load_and_assign(verdict, constants={"mode": round}, engine=kernel)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, number) for number in range(8)]:
            done.result(30)
    gc.collect()
    assert held() == before


def test_one_object_used_by_several_threads(kernel: Engine) -> None:
    with Good.load_and_assign(testdata("lazy"), engine=kernel) as objs:

        def work(number: int) -> None:
            for round in range(100):
                objs.good_map[number + 100] = number * 1000 + round
                assert objs.good_map[number + 100] == number * 1000 + round
                assert objs.good.run(bytes([number]) * 20).data == bytes([number]) * 20

        with ThreadPoolExecutor(6) as pool:
            for done in [pool.submit(work, number) for number in range(6)]:
                done.result(30)
        assert {key: value for key, value in objs.good_map.items() if key >= 100} == {
            number + 100: number * 1000 + 99 for number in range(6)
        }
