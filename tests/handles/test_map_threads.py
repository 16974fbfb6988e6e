"""Many threads with one handle of a map: nobody reads what another one asked for, or half of it."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from handles.test_map_kinds import Stats
from support.data import testdata

from bpfmodel import BpfObjects, Engine, HashMap, u32, u64

pytestmark = pytest.mark.kernel

THREADS, OPERATIONS, KEYS = 8, 20_000, 64
SPREAD = 1 << 40  # a value says its key in the high part, and who wrote it in the low one


class Objects(BpfObjects):
    big_hash: HashMap[u32, Stats]
    numbers: HashMap[u32, u64]


def hammer(work: Any) -> None:
    """Run `work(number)` in all threads at once, and raise what any of them raised."""
    errors: list[BaseException] = []
    start = threading.Barrier(THREADS)

    def run(number: int) -> None:
        try:
            start.wait()
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_structs_are_never_mixed_up(kernel: Engine) -> None:
    with Objects.load_and_assign(testdata("kinds"), engine=kernel) as objs:
        of = objs.big_hash
        for key in range(KEYS):
            of[key] = Stats(key * SPREAD, key * SPREAD)
        reads = [0] * THREADS

        def work(number: int) -> None:
            chosen = random.Random(number)
            for step in range(OPERATIONS):
                key = chosen.randrange(KEYS)
                if step % 2:
                    word = key * SPREAD + number * OPERATIONS + step
                    of[key] = Stats(word, word)
                else:
                    found = of[key] if step % 4 else of.get(key)
                    assert found is not None and found.packets == found.bytes, found
                    assert found.packets // SPREAD == key, (key, found)
                    written = found.packets % SPREAD
                    assert written == 0 or (written < THREADS * OPERATIONS and written % 2), found
                    reads[number] += 1

        hammer(work)
        assert reads == [OPERATIONS // 2] * THREADS
        assert any(of[key].packets % SPREAD for key in range(KEYS)) and len(of) == KEYS


def test_numbers_are_never_mixed_up_while_others_come_and_go(kernel: Engine) -> None:
    """Each thread has keys of its own, which it stores, reads, and deletes; what it reads is what it stored last."""
    with Objects.load_and_assign(testdata("kinds"), engine=kernel) as objs:
        of = objs.numbers

        def work(number: int) -> None:
            chosen, mine = random.Random(number), dict[int, int]()
            for step in range(OPERATIONS // 3):
                key = chosen.randrange(KEYS) * THREADS + number
                assert of.get(key) == mine.get(key)
                if key in mine and step % 3 == 0:
                    del of[key], mine[key]
                    assert key not in of
                else:
                    of[key] = mine[key] = key * SPREAD + step
                    assert of[key] == mine[key]
            assert {key: value for key, value in of.items() if key % THREADS == number} == mine

        hammer(work)
        assert 0 < len(of) <= KEYS * THREADS
