"""Random operations on maps against what Python's own containers do, over both engines."""

from __future__ import annotations

import errno
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from handles.test_map_kinds import Prefix, Stats
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from support.data import testdata

from bpfmodel import ArrayMap, BpfObjects, Engine, HashMap, LpmTrie, MapError, u32, u64

MODEST = settings(
    max_examples=15, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
KEYS = st.one_of(st.integers(0, 20), st.sampled_from([2**31, 2**32 - 1]))
WORDS = st.one_of(st.integers(0, 5), st.integers(0, 2**64 - 1))
STATS = st.builds(Stats, WORDS, WORDS)
BASES = st.sampled_from([0, 0x0A000000, 0x0A010000, 0x0A010203, 0xC0A80000, 0xFFFFFFFF])
NETWORKS = st.builds(lambda base, bits: IPv4Network((base, bits), strict=False), BASES, st.integers(0, 32))
ADDRESSES = st.builds(IPv4Address, BASES)
PAIRS = st.lists(st.tuples(KEYS, WORDS), max_size=6)


class Objects(BpfObjects):
    sized: HashMap[u32, u64]


class Structs(BpfObjects):
    array: ArrayMap[Stats]
    routes: LpmTrie[Prefix, Stats]


class Machine(RuleBasedStateMachine):
    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.numbers_of = Objects.load_and_assign(testdata("maps"), engine=self.engine)
        self.structs_of = Structs.load_and_assign(testdata("kinds"), engine=self.engine)
        self.map, self.model = self.numbers_of.sized, dict[int, int]()
        self.array, self.items = self.structs_of.array, [Stats(0, 0) for _ in range(8)]
        self.routes: Any = self.structs_of.routes
        self.networks: dict[IPv4Network, Stats] = {}

    def teardown(self) -> None:
        self.numbers_of.close()
        self.structs_of.close()

    def full(self, key: int) -> bool:
        return key not in self.model and len(self.model) == 16

    @rule(key=KEYS, value=WORDS)
    def store(self, key: int, value: int) -> None:
        if self.full(key):
            with pytest.raises(MapError) as caught:
                self.map[key] = value
            assert caught.value.errno == errno.E2BIG
        else:
            self.map[key] = self.model[key] = value

    @rule(key=KEYS, value=WORDS)
    def insert(self, key: int, value: int) -> None:
        if key in self.model or self.full(key):
            with pytest.raises(MapError) as caught:
                self.map.insert(key, value)
            assert caught.value.errno == (errno.EEXIST if key in self.model else errno.E2BIG)
        else:
            self.map.insert(key, value)
            self.model[key] = value

    @rule(key=KEYS, value=WORDS)
    def replace(self, key: int, value: int) -> None:
        if key in self.model:
            self.map.replace(key, value)
            self.model[key] = value
        else:
            with pytest.raises(KeyError):
                self.map.replace(key, value)

    @rule(key=KEYS, value=WORDS)
    def set_default(self, key: int, value: int) -> None:
        if not self.full(key):
            assert self.map.setdefault(key, value) == self.model.setdefault(key, value)

    @rule(key=KEYS)
    def read(self, key: int) -> None:
        assert self.map.get(key) == self.model.get(key)
        assert (key in self.map) == (key in self.model)
        if key not in self.model:
            with pytest.raises(KeyError):
                self.map[key]

    @rule(key=KEYS)
    def delete(self, key: int) -> None:
        if key in self.model:
            del self.map[key], self.model[key]
        else:
            with pytest.raises(KeyError):
                del self.map[key]

    @rule(key=KEYS)
    def pop(self, key: int) -> None:
        assert self.map.pop(key, None) == self.model.pop(key, None)

    @rule()
    def pop_some(self) -> None:
        if self.model:
            key, value = self.map.popitem()
            assert self.model.pop(key) == value

    @rule(pairs=PAIRS)
    def update(self, pairs: list[tuple[int, int]]) -> None:
        if len(self.model.keys() | dict(pairs).keys()) <= 16:
            self.map.update(pairs)
            self.model.update(pairs)

    @rule(keys=st.lists(KEYS, max_size=8))
    def delete_many(self, keys: list[int]) -> None:
        assert self.map.delete_batch(keys) == len(self.model.keys() & set(keys))
        for key in keys:
            self.model.pop(key, None)

    @rule(size=st.integers(1, 20))
    def pop_all(self, size: int) -> None:
        assert dict(pair for batch in self.map.pop_batch(size) for pair in batch) == self.model
        self.model.clear()

    @rule(size=st.integers(1, 20))
    def read_all(self, size: int) -> None:
        pairs = [pair for batch in self.map.lookup_batch(size) for pair in batch]
        assert len(pairs) == len(self.model) and dict(pairs) == self.model

    @rule(index=st.integers(-10, 10), value=STATS)
    def put(self, index: int, value: Stats) -> None:
        if -8 <= index < 8:
            self.array[index] = self.items[index] = value
            assert self.array[index] == value
        else:
            with pytest.raises(IndexError):
                self.array[index] = value

    @rule(first=st.integers(-10, 10), last=st.integers(-10, 10), step=st.sampled_from([-3, -1, 1, 2]))
    def cut(self, first: int, last: int, step: int) -> None:
        assert self.array[first:last:step] == self.items[first:last:step]

    @rule(network=NETWORKS, value=STATS)
    def add_route(self, network: IPv4Network, value: Stats) -> None:
        if network in self.networks or len(self.networks) < 8:
            self.routes[network] = self.networks[network] = value
        else:
            with pytest.raises(MapError) as caught:
                self.routes[network] = value
            assert caught.value.errno == errno.ENOSPC

    @rule(network=NETWORKS)
    def delete_route(self, network: IPv4Network) -> None:
        if network in self.networks:
            del self.routes[network], self.networks[network]
        else:
            with pytest.raises(KeyError):
                del self.routes[network]

    @rule(address=ADDRESSES)
    def find_route(self, address: IPv4Address) -> None:
        fitting = [network for network in self.networks if address in network]
        best = max(fitting, key=lambda network: network.prefixlen, default=None)
        assert self.routes.get(address) == (None if best is None else self.networks[best])
        assert (address in self.routes) == (best is not None)

    @invariant()
    def all_is_alike(self) -> None:
        assert dict(self.map) == self.model and len(self.map) == len(self.model)
        assert list(self.array) == self.items
        found = {IPv4Network((bytes(key.address), key.prefixlen)): value for key, value in self.routes.items()}
        assert found == self.networks and len(self.routes) == len(self.networks)


def test_random_operations(engine: Engine) -> None:
    class Here(Machine):
        pass

    Here.engine = engine
    run_state_machine_as_test(Here, settings=MODEST)
