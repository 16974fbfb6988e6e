"""Variables that BTF lists under another section than the one they lie in keep their types."""

from __future__ import annotations

import pytest
from support.data import testdata

from bpfmodel import BpfObjects, CollectionSpec, MismatchError, Program, Struct, Var, f64, u8, u32, u64
from bpfmodel.btf.render import describe
from bpfmodel.engine import Engine


class Padded(Struct):
    big: u64
    small: u8


def test_types_are_found_by_name() -> None:
    spec = CollectionSpec.from_file(testdata("misplaced"))
    shown = {name: (v.section, v.describe()) for name, v in spec.variables.items()}
    assert shown == {
        "zero_word": (".bss", "union word (8 bytes)"),
        "zero_padded": (".bss", "struct padded (16 bytes)"),
        "plain_zero": (".bss", "__u32 (4 bytes)"),
        "set_word": (".data", "union word (8 bytes)"),
    }
    assert all(v.type is not None and describe(v.type) for v in spec.variables.values())


def test_a_wrong_type_is_found() -> None:
    class Wrong(BpfObjects):
        zero_word: Var[f64]

    with pytest.raises(
        MismatchError, match=r"zero_word: declared f64 \(8 bytes\), found union word \(8 bytes\) in .bss"
    ):
        Wrong.check(testdata("misplaced"))


class Objects(BpfObjects):
    zero_padded: Var[Padded]
    plain_zero: Var[u32]
    touch: Program


@pytest.mark.kernel
def test_they_are_live(kernel: Engine) -> None:
    with Objects.load_and_assign(testdata("misplaced"), engine=kernel) as objs:
        assert objs.touch.run().retval == 7
        assert objs.zero_padded.get() == Padded(0, 2)
        assert objs.plain_zero.get() == 3
