"""Structs in pydantic: a field of a user's own model, checked as strictly as C demands, to JSON and back."""

from __future__ import annotations

import enum
import json
from typing import Any  # fmt: skip
from typing import Literal as L

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from bpfmodel import Array, Bits, Bytes, CString, Struct, boolean, f32, f64, pointer, s8, s128, u8, u16, u32, u64, u128


class Mode(enum.IntEnum):
    OFF = 0
    ON = 1


class Address(Struct):
    mac: Bytes[L[6]]
    port: u16 = 80


class Config(Struct):
    limit: u64
    low: s8
    ready: boolean
    ratio: f32
    exact: f64
    name: CString[L[8]]
    mode: Mode
    rows: Array[Array[u8, L[2]], L[2]]
    address: Address
    bits: Bits[u8, L[3]]
    at: pointer
    wide: u128
    signed: s128


class Settings(BaseModel):
    title: str
    config: Config


CONFIG = Config(
    limit=2**64 - 1, low=-128, ready=True, ratio=0.5, exact=1e300, name="größe", mode=Mode.ON, rows=[[1, 2], [3, 255]],
    address=Address(bytes.fromhex("0242ac1100ff")), bits=7, at=2**63, wide=2**128 - 1, signed=-(2**127),
)  # fmt: skip


def values() -> dict[str, Any]:
    return Settings(title="x", config=CONFIG).model_dump()["config"]


def test_an_instance_is_taken_as_it_is() -> None:
    assert Settings(title="x", config=CONFIG).config is CONFIG


def test_python_round_trip() -> None:
    dumped = Settings(title="x", config=CONFIG).model_dump()
    back = Settings.model_validate(dumped)
    assert back.config == CONFIG and type(back.config) is Config and type(back.config.address) is Address


def test_json_round_trip() -> None:
    text = Settings(title="x", config=CONFIG).model_dump_json()
    parsed = json.loads(text)["config"]
    assert (parsed["limit"], parsed["name"], parsed["mode"], parsed["rows"]) == (
        2**64 - 1, "größe", 1, [[1, 2], [3, 255]],
    )  # fmt: skip
    back = Settings.model_validate_json(text)
    assert back.config == CONFIG and back.config.mode is Mode.ON
    assert back.model_dump_json() == text


@pytest.mark.parametrize("name", ['quote"\\', "\x01", "日本"])
def test_text_survives_json(name: str) -> None:
    adapter = TypeAdapter(Config)
    value = CONFIG.__replace__(name=name)
    assert adapter.validate_json(adapter.dump_json(value)) == value


def test_a_name_that_is_no_text_does_not_stop_a_dump() -> None:
    """Kernel memory holds what it holds; JSON has no text for it, so its bytes are spelt out."""
    dumped = TypeAdapter(Config).dump_json(CONFIG.__replace__(name="a\udcff\udc80"))
    assert json.loads(dumped)["name"] == "a\\xff\\x80"


def test_json_of_values_that_are_no_numbers() -> None:
    adapter = TypeAdapter(Config)
    value = CONFIG.__replace__(exact=float("inf"))
    assert adapter.validate_json(adapter.dump_json(value)).exact == float("inf")


def test_bytes_for_people() -> None:
    adapter = TypeAdapter(Address)
    for given in (b"\x02\x42\xac\x11\x00\xff", "0242ac1100ff", "02:42:ac:11:00:ff"):
        assert adapter.validate_python({"mac": given}) == CONFIG.address


def test_defaults_may_be_left_out() -> None:
    assert TypeAdapter(Address).validate_python({"mac": bytes(6)}) == Address(bytes(6), 80)


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("limit", 2**64, "less than or equal to 18446744073709551615"),
        ("limit", -1, "greater than or equal to 0"),
        ("limit", "many", "valid integer"),
        ("limit", 1.5, "valid integer"),
        ("low", -129, "greater than or equal to -128"),
        ("ready", "maybe", "valid boolean"),
        ("ratio", 1e39, "out of range for f32"),
        ("name", "nine chars", "too long for char[8], which has 8"),
        ("name", "a\0b", "holds a NUL"),
        ("mode", 7, "should be 0 or 1"),
        ("rows", [[1, 2]], "at least 2 items"),
        ("rows", [[1, 2], [3, 256]], "less than or equal to 255"),
        ("rows", [[1, 2], [3]], "at least 2 items"),
        ("address", {"mac": b"12345"}, "at least 6"),
        ("address", {"mac": "xy"}, "hexadecimal"),
        ("address", {"mac": bytes(6), "prt": 1}, "Extra inputs"),
        ("address", {}, "Field required"),
        ("address", None, "valid dictionary"),
        ("bits", 8, "less than or equal to 7"),
        ("at", 2**64, "less than or equal to 18446744073709551615"),
        ("wide", 2**128, "less than or equal to"),
        ("signed", -(2**127) - 1, "greater than or equal to"),
    ],
)
def test_refused(member: str, value: Any, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"title": "x", "config": {**values(), member: value}})
    assert words in str(caught.value)
    assert caught.value.errors()[0]["loc"][:2] == ("config", member)


def test_all_that_is_wrong_at_once() -> None:
    wrong = {**values(), "limit": -1, "low": 200, "name": "nine chars", "extra": 1}
    del wrong["mode"]
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Config).validate_python(wrong)
    assert {error["loc"][0] for error in caught.value.errors()} == {"limit", "low", "name", "extra", "mode"}


def test_an_instance_of_another_struct() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Config).validate_python(CONFIG.address)


@pytest.mark.parametrize("mode", ["validation", "serialization"])
def test_a_json_schema(mode: Any) -> None:
    """What FastAPI and other tools ask for."""
    schema = Settings.model_json_schema(mode=mode)
    text = json.dumps(schema)
    for member in ("limit", "rows", "mac", "port"):
        assert f'"{member}"' in text


def test_a_list_of_structs() -> None:
    adapter = TypeAdapter(list[Address])
    many = [Address(bytes(6), 1), Address(b"\xff" * 6, 2)]
    assert adapter.validate_json(adapter.dump_json(many)) == many


def test_members_named_like_methods_are_required() -> None:
    cls = type("Named", (Struct,), {"__annotations__": {"mro": u32}})
    with pytest.raises(ValidationError, match="Field required"):
        TypeAdapter(cls).validate_python({})
