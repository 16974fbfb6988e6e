"""Loading and closing, the same over both engines: all or nothing, and one object behind all handles."""

import gc
from typing import Any  # fmt: skip
from typing import Literal as L

import pytest
from support.data import testdata

from bpfmodel import (
    ArrayMap,
    BpfModelError,
    BpfObjects,
    BpfTypeError,
    ClosedError,
    CollectionSpec,
    Const,
    ConstantError,
    CString,
    Engine,
    HashMap,
    LoadError,
    LoadOptions,
    MemoryEngine,
    MismatchError,
    Program,
    SourceError,
    Struct,
    Var,
    VerifierError,
    field,
    u16,
    u32,
    u64,
)
from bpfmodel.engine.base import LoadedObject

SCALARS = CollectionSpec.from_file(testdata("scalars"))
LAZY = CollectionSpec.from_file(testdata("lazy"))


class Stats(Struct):
    packets: u64
    bytes: u64


class Part(BpfObjects):
    u16_var: Var[u16]
    again: Var[u64] = field(name="u64_zero")


class Objects(BpfObjects):
    u32_var: Var[u32]
    msg: Var[CString[L[13]]]
    limit: Const[u32] = field(name="ro_u32")
    sum: Program
    part: Part


class Good(BpfObjects):
    good_var: Var[u64]
    good_map: HashMap[u32, u64]
    spare_map: ArrayMap[u32]
    good: Program


class Watched:
    """An engine that keeps what it loaded, and fails where it is told to."""

    name = "watched"

    def __init__(self, engine: Engine, break_at: str = "") -> None:
        self.engine = engine
        self.break_at = break_at
        self.wanted: list[tuple[set[str], set[str]]] = []
        self.options: list[LoadOptions] = []
        self.closed = 0

    def load(self, spec: CollectionSpec, maps: Any, programs: Any, options: LoadOptions) -> LoadedObject:
        self.wanted.append((set(maps), set(programs)))
        self.options.append(options)
        loaded = self.engine.load(spec, maps, programs, options)
        close = loaded.close

        def counted() -> None:
            self.closed += 1
            close()

        loaded.close = counted  # type: ignore[method-assign]
        if self.break_at:
            for held in (loaded.maps, loaded.programs):
                held.pop(self.break_at, None)  # type: ignore[attr-defined]
        return loaded


@pytest.fixture
def watched(engine: Engine) -> Any:
    return Watched(engine)


def test_handles_are_of_the_declared_kinds(engine: Engine) -> None:
    with Objects.load_and_assign(SCALARS, engine=engine) as objs:
        assert isinstance(objs, Objects)
        assert isinstance(objs.u32_var, Var)
        assert isinstance(objs.limit, Const)
        assert not isinstance(objs.limit, Var)
        assert isinstance(objs.sum, Program)
        assert isinstance(objs.part, Part)
    with Good.load_and_assign(LAZY, engine=engine) as good:
        assert isinstance(good.good_map, HashMap)
        assert isinstance(good.spare_map, ArrayMap)


def test_values_are_live(engine: Engine) -> None:
    with Objects.load_and_assign(SCALARS, engine=engine) as objs:
        objs.u32_var.set(5)
        objs.msg.set("hi")
        objs.part.again.set(7)
        assert (objs.u32_var.get(), objs.msg.get(), objs.part.again.get()) == (5, "hi", 7)


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "spec"])
def test_every_source(kind: str, engine: Engine) -> None:
    path = testdata("scalars")
    source: Any = {"path": path, "str": str(path), "bytes": path.read_bytes(), "spec": SCALARS}[kind]
    with Objects.load_and_assign(source, engine=engine) as objs:
        assert objs.u32_var.get() == 0xDEADBEEF


def test_only_what_is_named_is_created(watched: Any) -> None:
    with Good.load_and_assign(LAZY, engine=watched) as objs:
        objs.good_map[1] = 2
        assert objs.good_map[1] == 2
    assert watched.wanted == [({".bss", "good_map", "spare_map"}, {"good"})]


def test_what_a_program_refers_to_is_created_too(watched: Any) -> None:
    class Only(BpfObjects):
        good: Program

    with Only.load_and_assign(LAZY, engine=watched):
        pass
    assert watched.wanted == [({".bss", "good_map"}, {"good"})]


def test_initial_contents_of_other_maps_do_not_matter(engine: Engine) -> None:
    # The object also has a program array and a map of maps, both with initial contents.
    class Flows(BpfObjects):
        flows: HashMap[u32, Stats]

    with Flows.load_and_assign(testdata("maps"), engine=engine) as objs:
        objs.flows[1] = Stats(2, 3)
        assert objs.flows[1] == Stats(2, 3)


def test_parts_share_one_object(watched: Any) -> None:
    with Objects.load_and_assign(SCALARS, engine=watched) as objs:
        assert len(watched.wanted) == 1
        assert not objs.part.closed
        objs.part.u16_var.set(1)
    assert objs.part.closed
    assert watched.closed == 1


def test_parts_see_the_same_memory(engine: Engine) -> None:
    # Two neighbours of one section, one of them in a part: neither write is lost.
    with Objects.load_and_assign(SCALARS, engine=engine) as objs:
        for number in range(100):
            objs.u32_var.set(number)
            objs.part.u16_var.set(number)
            assert (objs.u32_var.get(), objs.part.u16_var.get()) == (number, number)


def test_the_options_reach_the_engine(watched: Any) -> None:
    options = LoadOptions(log_level=1)
    Objects.load_and_assign(SCALARS, engine=watched, options=options).close()
    Objects.open(SCALARS).load(engine=watched, options=options).close()
    Objects.open(SCALARS).load(engine=watched).close()
    assert watched.options == [options, options, LoadOptions()]


@pytest.mark.usefixtures("no_leak")
@pytest.mark.parametrize("name", ["sum", ".data", ".rodata", ".bss"])
def test_what_fails_while_assigning_closes_everything(name: str, engine: Engine) -> None:
    broken: Any = Watched(engine, break_at=name)
    with pytest.raises(KeyError):
        Objects.load_and_assign(SCALARS, engine=broken)
    assert broken.closed == 1


@pytest.mark.usefixtures("no_leak")
def test_a_map_that_cannot_be_made_fails_the_whole(engine: Engine) -> None:
    class Broken(BpfObjects):
        good_map: HashMap[u32, u64]
        broken_map: HashMap[u32, u64]
        good_var: Var[u64]

    with pytest.raises(LoadError, match="broken_map") as caught:
        Broken.load_and_assign(LAZY, engine=engine)
    assert caught.value.errno == 22
    gc.collect()


@pytest.mark.usefixtures("no_leak")
def test_a_program_that_is_rejected_fails_the_whole(kernel: Engine) -> None:
    class Broken(BpfObjects):
        good: Program
        broken: Program
        good_var: Var[u64]

    with pytest.raises(VerifierError) as caught:
        Broken.load_and_assign(LAZY, engine=kernel)
    assert caught.value.program == "broken"
    assert "broken" in str(caught.value)
    assert isinstance(caught.value, OSError)


@pytest.mark.usefixtures("no_leak")
def test_nothing_is_loaded_before_all_is_checked(watched: Any) -> None:
    class Wrong(BpfObjects):
        u32_var: Var[u64]

    with pytest.raises(MismatchError):
        Wrong.load_and_assign(SCALARS, engine=watched)
    with pytest.raises(ConstantError):
        Objects.load_and_assign(SCALARS, constants={"nope": 1}, engine=watched)
    with pytest.raises(SourceError):
        Objects.load_and_assign(b"", engine=watched)
    assert watched.wanted == []


def test_the_context_manager_closes(watched: Any) -> None:
    objs = Objects.load_and_assign(SCALARS, engine=watched)
    with objs as entered:
        assert entered is objs
        assert not objs.closed
    assert objs.closed
    assert watched.closed == 1


def test_the_context_manager_closes_after_an_error_and_lets_it_pass(watched: Any) -> None:
    with pytest.raises(ZeroDivisionError), Objects.load_and_assign(SCALARS, engine=watched) as objs:
        1 / 0  # noqa: B018
    assert objs.closed
    assert watched.closed == 1


@pytest.mark.usefixtures("no_leak")
def test_closing_again_does_nothing(engine: Engine) -> None:
    objs = Objects.load_and_assign(SCALARS, engine=engine)
    for _ in range(3):
        objs.close()
        assert objs.closed
    with pytest.raises(ClosedError), objs:
        pass


@pytest.mark.parametrize("wrong", [MemoryEngine, "memory", 5])
def test_an_engine_is_an_instance(wrong: Any) -> None:
    with pytest.raises(BpfTypeError, match=r"engine: .* is no engine: give an instance, such as MemoryEngine\(\)"):
        Objects.load_and_assign(SCALARS, engine=wrong)
    with pytest.raises(BpfTypeError, match=r"options: .* is no LoadOptions"):
        Objects.load_and_assign(SCALARS, engine=MemoryEngine(), options={"log_level": 1})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "use",
    [
        lambda objs: objs.u32_var.get(),
        lambda objs: objs.u32_var.set(1),
        lambda objs: objs.u32_var.memory,
        lambda objs: objs.msg.get(),
        lambda objs: objs.msg.set("x"),
        lambda objs: objs.limit.get(),
        lambda objs: objs.limit.memory,
        lambda objs: objs.part.u16_var.get(),
        lambda objs: objs.part.again.set(1),
    ],
)
def test_every_handle_is_closed_with_the_object(use: Any, engine: Engine) -> None:
    objs = Objects.load_and_assign(SCALARS, engine=engine)
    use(objs)
    objs.close()
    with pytest.raises(ClosedError, match=r"is closed: its object was closed"):
        use(objs)


def test_maps_are_closed_with_the_object(engine: Engine) -> None:
    objs = Good.load_and_assign(LAZY, engine=engine)
    objs.close()
    uses: list[Any] = [
        lambda: objs.good_map[1],
        lambda: objs.good_map.get(1),
        lambda: objs.good_map.update({1: 2}),
        lambda: list(objs.good_map),
        lambda: len(objs.good_map),
        lambda: objs.good_map.pop(1, None),
        lambda: 1 in objs.good_map,
        lambda: objs.spare_map[0],
        lambda: list(objs.spare_map),
    ]
    for use in uses:
        with pytest.raises(ClosedError):
            use()


def test_closing_a_part_closes_the_whole(engine: Engine) -> None:
    # They are one object; the documentation says that parts share it.
    objs = Objects.load_and_assign(SCALARS, engine=engine)
    objs.part.close()
    assert objs.part.closed
    assert objs.closed
    with pytest.raises(ClosedError):
        objs.u32_var.get()


@pytest.mark.usefixtures("no_leak")
def test_closing_goes_on_where_one_close_fails(engine: Engine) -> None:
    inner = Watched(engine)
    objs = Objects.load_and_assign(SCALARS, engine=inner)  # type: ignore[arg-type]
    views = [objs.u32_var.memory, objs.limit.memory]
    exported = [memoryview(view) for view in views]  # keeps the mappings in use
    objs.close()
    assert inner.closed == 1
    with pytest.raises(ClosedError):
        objs.u32_var.get()
    for view in exported:
        view.release()


def test_dropped_objects_free_what_they_hold(kernel: Engine, no_leak: None) -> None:
    objs: Objects | None = Objects.load_and_assign(SCALARS, engine=kernel)
    assert objs is not None
    del objs
    gc.collect()


def test_handles_outlive_the_name_of_their_object(engine: Engine) -> None:
    handle = Objects.load_and_assign(SCALARS, engine=engine).u32_var
    gc.collect()
    assert handle.get() == 0xDEADBEEF


def test_the_repr_says_what_it_is(engine: Engine) -> None:
    with Objects.load_and_assign(SCALARS, engine=engine) as objs:
        assert repr(objs) == "<Objects of u32_var, msg, limit, sum, part>"
        assert repr(objs.u32_var) == "<Var u32_var = 3735928559>"
        assert repr(objs.limit) == "<Const ro_u32 = 4000000>"
        assert repr(objs.part) == "<Part of u16_var, again>"
    assert repr(objs) == "<Objects of u32_var, msg, limit, sum, part (closed)>"
    assert repr(objs.u32_var) == "<Var u32_var = (ClosedError)>"


def test_every_error_of_a_load_is_one_of_the_library(engine: Engine) -> None:
    class Broken(BpfObjects):
        broken_user: Program

    with pytest.raises(BpfModelError):
        Broken.load_and_assign(LAZY, engine=engine)


def test_a_foreign_byte_order_is_refused_by_the_kernel_only(kernel: Engine) -> None:
    class Big(BpfObjects):
        u16_var: Var[u16]

    with pytest.raises(BpfModelError, match=r"endian|byte order"):
        Big.load_and_assign(testdata("bigendian"), engine=kernel)
    from bpfmodel import MemoryEngine

    with Big.load_and_assign(testdata("bigendian"), engine=MemoryEngine()) as objs:
        assert objs.u16_var.get() == 0x1234
        objs.u16_var.set(0x5678)
        assert bytes(objs.u16_var.memory) == b"\x56\x78"
