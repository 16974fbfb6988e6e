"""What the verifier says becomes one error: which program, why, at which line of C, and what to do."""

from __future__ import annotations

import errno

import pytest
from support.data import testdata

from bpfmodel import BpfObjects, Engine, HashMap, KernelError, LoadError, Program, VerifierError, u32, u64

pytestmark = pytest.mark.kernel


def load_only(name: str, kernel: Engine, source: str = "verifier") -> None:
    """Load one program of an object, by a class that names no other."""
    cls = type("Only", (BpfObjects,), {"__annotations__": {name: Program}, "__module__": __name__})
    cls.load_and_assign(testdata(source), engine=kernel).close()


def failure(name: str, kernel: Engine) -> VerifierError:
    with pytest.raises(VerifierError) as caught:
        load_only(name, kernel)
    return caught.value


# The program, the line of C that is shown, a word of the verifier's reason, and one of the hint.
REJECTED = [
    ("no_bounds", "data[12] == 8", "packet", "data_end"),
    ("null_map", "*value += 1;", "map_value_or_null", "NULL"),
    ("uninit", "asm volatile", "!read_ok", "before anything was stored"),
    ("bad_index", "slots[ctx->rx_queue_index]", "unbounded memory access", "bound the index"),
    ("bad_helper", "bpf_skb_load_bytes(ctx", "helper", "may not call that helper"),
    ("leak", "return XDP_PASS;", "reference", "released on every path"),
    ("bad_return", "return 77;", "R0", "values this type of program may return"),
    ("long_log", "return data[0];", "packet", "data_end"),
]
NAMES = [row[0] for row in REJECTED]


def test_the_valid_program_loads_beside_them(kernel: Engine) -> None:
    load_only("valid", kernel)


@pytest.mark.parametrize(("name", "code"), [(row[0], row[1]) for row in REJECTED])
def test_the_excerpt_names_the_program_and_shows_the_line(kernel: Engine, name: str, code: str) -> None:
    error = failure(name, kernel)
    assert error.program == name
    message = str(error)
    assert "verifier.bpf.o" in message and name in message.splitlines()[0]
    assert code in message
    assert "verifier.bpf.c:" in message


@pytest.mark.parametrize(("name", "reason"), [(row[0], row[2]) for row in REJECTED])
def test_the_first_line_has_the_reason(kernel: Engine, name: str, reason: str) -> None:
    assert reason in str(failure(name, kernel)).splitlines()[0]


@pytest.mark.parametrize(("name", "hint"), [(row[0], row[3]) for row in REJECTED])
def test_the_hint_says_what_to_do(kernel: Engine, name: str, hint: str) -> None:
    message = str(failure(name, kernel))
    assert "hint: " in message
    assert hint in message


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_log_is_kept_and_the_message_is_short(kernel: Engine, name: str) -> None:
    error = failure(name, kernel)
    assert error.errno in (errno.EACCES, errno.EINVAL)
    assert "processed " in error.log
    assert "libbpf:" not in error.log
    assert len(str(error).splitlines()) <= 8
    assert isinstance(error, (LoadError, KernelError, OSError))


def test_a_long_log_is_whole(kernel: Engine) -> None:
    error = failure("long_log", kernel)
    assert len(error.log) > 100_000
    assert error.log.rstrip("\n").splitlines()[-1].startswith("processed ")
    assert "R1=ctx()" in error.log.splitlines()[1] or "0:" in error.log[:200]
    assert len(str(error)) < 1000


def test_the_error_names_the_one_that_failed_among_several(kernel: Engine) -> None:
    class Several(BpfObjects):
        valid: Program
        null_map: Program

    with pytest.raises(VerifierError) as caught:
        Several.load_and_assign(testdata("verifier"), engine=kernel)
    assert caught.value.program == "null_map"


def test_a_map_that_cannot_be_created_says_what_to_do(kernel: Engine) -> None:
    class Broken(BpfObjects):
        broken_map: HashMap[u32, u64]

    with pytest.raises(LoadError) as caught:
        Broken.load_and_assign(testdata("lazy"), engine=kernel)
    message = str(caught.value)
    assert not isinstance(caught.value, VerifierError)
    assert caught.value.errno == errno.EINVAL
    assert "lazy.bpf.o" in message and "broken_map" in message
    assert "max_entries" in message and "before load" in message
    assert "broken_map" in caught.value.log


def test_doing_what_it_says_helps(kernel: Engine) -> None:
    class Broken(BpfObjects):
        broken_map: HashMap[u32, u64]
        broken_user: Program

    opened = Broken.open(testdata("lazy"))
    opened.spec.maps["broken_map"].max_entries = 4
    with opened.load(engine=kernel) as objs:
        objs.broken_user.run(bytes(14))
        assert dict(objs.broken_map) == {1: 2}


def test_a_program_that_uses_the_broken_map_names_the_map(kernel: Engine) -> None:
    with pytest.raises(LoadError, match="broken_map"):
        load_only("broken_user", kernel, "lazy")


def test_a_program_this_kernel_has_no_place_for_says_which_section(kernel: Engine) -> None:
    # On this project's machine the kernel refuses fentry with EPERM; elsewhere it may simply load.
    try:
        load_only("count_fentry", kernel, "attach")
    except LoadError as error:
        told = str(error)
    else:
        return
    assert "count_fentry" in told and "fentry/bpf_fentry_test1" in told


def test_a_big_endian_object_is_refused_with_the_way_out(kernel: Engine) -> None:
    with pytest.raises(LoadError, match=r"bigendian\.bpf\.o is big-endian.*-target bpfel"):
        load_only("swap", kernel, "bigendian")
