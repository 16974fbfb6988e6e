"""Makes a pydantic model of the constants that a class declares."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Optional

from pydantic import BaseModel, ConfigDict, create_model

from ..errors import DeclarationError
from ..handles.variable import Const
from ..types.schema import python_type
from .declare import Declaration


def constants_model(cls: type, variables: Iterable[Declaration]) -> type[BaseModel]:
    """Make the model; its fields have the names of the class's attributes, and none is required.

    A constant of a part is named with the way to it: ``part__limit``.
    """
    fields: dict[str, Any] = {}
    for declaration in variables:
        if not issubclass(declaration.handle, Const) or declaration.value is None:
            continue
        name = declaration.label.replace(".", "__")
        if name.startswith("_"):
            raise DeclarationError(
                f"{cls.__qualname__}.{name}: pydantic takes no field that begins with an underscore; "
                f'rename it: {name.lstrip("_")}: … = field(name="{declaration.name}")'
            )
        fields[name] = (Optional[python_type(declaration.value)], None)  # noqa: UP045 - made at run time
    made: type[BaseModel] = create_model(
        f"{cls.__name__}Constants", __config__=ConfigDict(extra="forbid", validate_default=False), **fields
    )
    return made
