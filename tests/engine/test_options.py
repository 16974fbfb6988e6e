"""`LoadOptions` other than pinning: kernel configuration, BTF of the kernel, the verifier's log. And: nothing is printed."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from support.data import testdata
from support.objects import ObjectBuilder, exit_, mov64_imm

from bpfmodel import (
    BpfModelError,
    BpfObjects,
    Engine,
    HashMap,
    LoadError,
    LoadOptions,
    Program,
    VerifierError,
    u32,
    u64,
)

pytestmark = pytest.mark.kernel


class Externs(BpfObjects):
    read_hz: Program
    externs: Program


class Broken(BpfObjects):
    broken: Program


class BrokenMap(BpfObjects):
    broken_map: HashMap[u32, u64]


class Good(BpfObjects):
    good: Program


def test_externs_are_filled_from_the_running_kernel(kernel: Engine) -> None:
    with Externs.load_and_assign(testdata("visibility"), engine=kernel) as objs:
        assert objs.read_hz.run().retval in (100, 250, 300, 1000)
        assert objs.externs.run().retval & 7 == 7


def test_kconfig_goes_before_the_running_kernel(kernel: Engine) -> None:
    options = LoadOptions(kconfig="CONFIG_HZ=4321\n")
    with Externs.load_and_assign(testdata("visibility"), engine=kernel, options=options) as objs:
        assert objs.read_hz.run().retval == 4321
        assert objs.externs.run().retval & 1 == 1  # the others are still the kernel's


def test_a_kconfig_that_makes_no_sense_is_told(kernel: Engine) -> None:
    options = LoadOptions(kconfig="CONFIG_HZ=zzz\n")
    with pytest.raises(LoadError, match="CONFIG_HZ") as caught:
        Externs.load_and_assign(testdata("visibility"), engine=kernel, options=options)
    assert "visibility.bpf.o" in str(caught.value)


class Relocated(BpfObjects):
    exists: Program


def relocated(member: str = "pid") -> bytes:
    """Build a program that asks CO-RE whether the kernel's task_struct has a member, and returns the answer."""
    builder = ObjectBuilder()
    task = builder.btf.struct("task_struct", 4, [(member, builder.btf.common("int"), 0)])
    builder.program("exists", "syscall", mov64_imm(0, 1) + exit_())
    builder.license("GPL")
    section, access = builder.btf.add_string("syscall"), builder.btf.add_string("0:0")
    field_exists = 2
    record = struct.pack("<IIII", 0, task, access, field_exists)
    relocations = struct.pack("<I", 16) + struct.pack("<II", section, 1) + record
    no_functions = no_lines = (0, 0)
    header = struct.pack("<HBBIIIIIII", 0xEB9F, 1, 0, 32, *no_functions, *no_lines, 0, len(relocations))
    elf = builder.assemble()
    elf.add_section(".BTF.ext", header + relocations, align=4)
    return elf.build()


@pytest.mark.parametrize(("member", "answer"), [("pid", 1), ("no_such_member", 0)])
def test_co_re_asks_the_running_kernel(kernel: Engine, member: str, answer: int) -> None:
    with Relocated.load_and_assign(relocated(member), engine=kernel) as objs:
        assert objs.exists.run().retval == answer


def test_btf_path_is_asked_instead(kernel: Engine, tmp_path: Path) -> None:
    builder = ObjectBuilder()
    builder.btf.struct("task_struct", 4, [("other", builder.btf.common("int"), 0)])
    (tmp_path / "own.btf").write_bytes(builder.btf.build())
    options = LoadOptions(btf_path=str(tmp_path / "own.btf"))
    with Relocated.load_and_assign(relocated(), engine=kernel, options=options) as objs:
        assert objs.exists.run().retval == 0


def test_btf_path_that_leads_nowhere_is_named(kernel: Engine, tmp_path: Path) -> None:
    options = LoadOptions(btf_path=str(tmp_path / "missing.btf"))
    with pytest.raises((LoadError, FileNotFoundError), match=r"missing\.btf") as caught:
        Relocated.load_and_assign(relocated(), engine=kernel, options=options)
    assert isinstance(caught.value, BpfModelError)


def test_there_is_no_log_unless_it_was_asked_for(kernel: Engine) -> None:
    with Good.load_and_assign(testdata("lazy"), engine=kernel) as objs:
        assert objs.good.log == ""


def test_log_level_gives_the_log_of_each_program(kernel: Engine) -> None:
    class Two(BpfObjects):
        grow: Program
        mangle: Program

    with Two.load_and_assign(testdata("attach"), engine=kernel, options=LoadOptions(log_level=2)) as objs:
        assert "for (i = 0; i < 14; i++)" in objs.grow.log or "0xE0 + i" in objs.grow.log
        assert "kept" in objs.mangle.log and "kept" not in objs.grow.log
        assert "processed " in objs.grow.log and "libbpf" not in objs.grow.log
    with Two.load_and_assign(testdata("attach"), engine=kernel, options=LoadOptions(log_level=1)) as objs:
        assert "processed " in objs.grow.log and "processed " in objs.mangle.log


def test_log_level_does_not_change_what_an_error_says(kernel: Engine) -> None:
    told = []
    for level in (0, 1, 2):
        with pytest.raises(VerifierError) as caught:
            Broken.load_and_assign(testdata("lazy"), engine=kernel, options=LoadOptions(log_level=level))
        assert caught.value.program == "broken"
        told.append(str(caught.value).splitlines()[:3])
    assert told[0] == told[1] == told[2]


def good(kernel: Engine, level: int) -> None:
    with Good.load_and_assign(testdata("lazy"), engine=kernel, options=LoadOptions(log_level=level)) as objs:
        objs.good.run(bytes(14))


def broken(kernel: Engine, level: int) -> None:
    with pytest.raises(VerifierError):
        Broken.load_and_assign(testdata("lazy"), engine=kernel, options=LoadOptions(log_level=level))


def broken_map(kernel: Engine, level: int) -> None:
    with pytest.raises(LoadError):
        BrokenMap.load_and_assign(testdata("lazy"), engine=kernel, options=LoadOptions(log_level=level))


def broken_pin(kernel: Engine, level: int) -> None:
    class Pinned(BpfObjects):
        pinned: HashMap[u32, u64]

    with pytest.raises(LoadError):
        Pinned.load_and_assign(
            testdata("pinned"), engine=kernel, options=LoadOptions(pin_path="/proc", log_level=level)
        )


def broken_attachment(kernel: Engine, level: int) -> None:
    class Attach(BpfObjects):
        count_kprobe: Program
        count_tp: Program
        count_xdp: Program

    with Attach.load_and_assign(testdata("attach"), engine=kernel, options=LoadOptions(log_level=level)) as objs:
        for use in (
            objs.count_xdp.attach,
            lambda: objs.count_tp.run(),
            lambda: objs.count_xdp.run(b"short"),
            lambda: objs.count_xdp.attach_xdp(99999),
        ):
            with pytest.raises(BpfModelError):
                use()
        with objs.count_tp.attach() as link:
            for use in (link.detach, lambda: link.pin("/proc/x"), lambda: link.update(objs.count_xdp)):
                with pytest.raises(BpfModelError):
                    use()


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("use", [good, broken, broken_map, broken_pin, broken_attachment])
def test_nothing_is_printed(
    kernel: Engine, use: Callable[[Engine, int], None], level: int, capfd: pytest.CaptureFixture[str]
) -> None:
    use(kernel, level)
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")
