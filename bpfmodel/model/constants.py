"""Makes a pydantic model of the constants that a class declares, and reads values back out of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Optional

from pydantic import BaseModel, ConfigDict, Field, create_model

from ..errors import DeclarationError
from ..handles.variable import Const
from ..types.schema import python_type
from .declare import Declaration

_LABELS = "__bpf_labels__"


def constants_model(cls: type, variables: Iterable[Declaration]) -> type[BaseModel]:
    """Make the model. None of its fields is required; their names are those of the class's attributes.

    A constant of a part is named with the way to it: ``part__limit``. A name that pydantic keeps for itself, or that
    begins with an underscore, is an alias: it is the name in JSON, and the attribute gets an underscore at its end.

    Raises:
        DeclarationError: two constants would have one name.
    """
    fields: dict[str, Any] = {}
    labels: dict[str, str] = {}
    for declaration in variables:
        if not issubclass(declaration.handle, Const) or declaration.value is None:
            continue
        name = declaration.label.replace(".", "__")
        taken = hasattr(BaseModel, name) or name.startswith(("_", "model_"))
        attribute = f"{name.strip('_').removeprefix('model_')}_" if taken else name
        if attribute in fields:
            raise DeclarationError(
                f"{cls.__qualname__}.{labels[attribute]} and {cls.__qualname__}.{declaration.label} would both be "
                f"{attribute} in constants_model(); rename one with field(name=…)"
            )
        labels[attribute] = declaration.label
        wanted: Any = python_type(declaration.value)
        fields[attribute] = (Optional[wanted], Field(None, alias=name) if taken else None)  # noqa: UP045 - no type yet
    made: type[BaseModel] = create_model(
        f"{cls.__name__}Constants",
        __config__=ConfigDict(extra="forbid", populate_by_name=True),
        __module__=cls.__module__,
        **fields,
    )
    setattr(made, _LABELS, labels)
    return made


def values_of(model: BaseModel) -> dict[str, Any]:
    """Return the constants that were set, by the attributes that declare them."""
    labels: dict[str, str] = getattr(type(model), _LABELS, {})
    return {labels.get(name, name): getattr(model, name) for name in model.model_fields_set}
