"""What one does with values of `Struct` and `Union` classes; functions, since every name of a value's own is a member's."""

from __future__ import annotations

from typing import Any, TypeVar

from ..btf.layout import telling
from ..errors import BpfTypeError, shown
from .composite import Composite

C = TypeVar("C", bound=Composite)


def asdict(value: Any) -> dict[str, Any]:
    """Return a `Struct` or `Union` value as a dict by member, with dicts for what is inside; ``Stats(**asdict(value))`` is equal.

    A union gives its largest member, which stands for all of its bytes. JSON goes through pydantic:
    ``TypeAdapter(Stats).dump_json(value)``.

    Raises:
        BpfTypeError: it is no value of a Struct or Union class.
    """
    if not isinstance(value, Composite):
        raise BpfTypeError(f"{shown(value)} is no Struct and no Union")
    return {m.attribute: _plain(getattr(value, m.attribute)) for m in telling(type(value).__bpf_type__())}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return asdict(value) if isinstance(value, Composite) else value


def replace(value: C, /, **changes: Any) -> C:
    """Return a copy of a `Struct` or `Union` value with some members changed, checked as at construction.

    ``copy.replace`` does the same where Python has it (3.13).

    Raises:
        BpfTypeError: it has no member of that name, or it is no value of a Struct or Union class.
        BpfValueError: a value does not fit its C type; the message names the member.
    """
    if not isinstance(value, Composite):
        raise BpfTypeError(f"{shown(value)} is no Struct and no Union")
    made: C = value.__replace__(**changes)
    return made
