"""What stands for something live is neither copied nor pickled, and an operation in flight survives a close."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from support.data import testdata

import bpfmodel
from bpfmodel import ArrayMap, BpfObjects, HashMap, Program, Var, u32, u64
from bpfmodel.engine import Engine


class Objects(BpfObjects):
    good_var: Var[u64]
    good_map: HashMap[u32, u64]
    spare_map: ArrayMap[u32]
    good: Program


@pytest.mark.parametrize("name", ["good_var", "good_map", "spare_map", "good", ""])
def test_copies_are_refused_and_do_no_harm(engine: Engine, name: str) -> None:
    with Objects.load_and_assign(testdata("lazy"), engine=engine) as objs:
        handle = getattr(objs, name) if name else objs
        for act in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot be copied or pickled"):
                act(handle)
        objs.good_map[1] = 2
        assert objs.good_map[1] == 2
        objs.good_var.set(3)
        assert objs.good_var.get() == 3


def test_entries_are_those_of_when_their_chunk_was_read(engine: Engine) -> None:
    with Objects.load_and_assign(testdata("lazy"), engine=engine) as objs:
        objs.good_map.update({1: 10, 2: 20, 3: 30})
        seen = []
        for key, value in objs.good_map.items():
            seen.append((key, value))
            objs.good_map.clear()
        assert sorted(seen) == [(1, 10), (2, 20), (3, 30)]
        assert len(objs.good_map) == 0
        objs.good_map.update({1: 10, 2: 20})
        assert sorted(objs.good_map.clear() or value for value in objs.good_map.values()) == [10, 20]
        assert list(objs.good_map.values()) == []
        objs.good_map[5] = 50
        assert objs.good_map.popitem() == (5, 50)
        with pytest.raises(KeyError, match="empty"):
            objs.good_map.popitem()


RACE = """
import sys
sys.path[:0] = {path!r}
from bpfmodel import BpfObjects, ClosedError, MemoryEngine, Var, u64
from bpfmodel.engine import atomics

class Objects(BpfObjects):
    u64_var: Var[u64]

class Closes:
    def __init__(self, objs): self.objs = objs
    def __index__(self):
        self.objs.close()
        return 1

for backend in list(atomics.BACKENDS):
    chosen = {{backend: atomics.BACKENDS[backend]}}
    if chosen[backend](memoryview(bytearray(8))) is None:
        continue
    atomics.BACKENDS = chosen | {{}}
    for engine in (MemoryEngine(), *{kernel}):
        objs = Objects.load_and_assign({object!r}, engine=engine)
        atomic = objs.u64_var.atomic()
        try:
            atomic.add(Closes(objs))
        except ClosedError:
            print("refused")
    import importlib; importlib.reload(atomics)
"""


@pytest.mark.kernel
def test_an_operand_that_closes_the_object_is_no_crash(kernel: Engine) -> None:
    path = [str(Path(bpfmodel.__file__).parent.parent)]
    code = RACE.format(path=path, object=str(testdata("scalars")), kernel="(None,)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {"refused"}
