"""Turns generated source into functions, and keeps it where tracebacks and debuggers look for source."""

from __future__ import annotations

import itertools
import linecache
from collections.abc import Callable
from typing import Any

_count = itertools.count(1)


def compiled(source: str, function: str, names: dict[str, Any], title: str) -> Callable[..., Any]:
    """Compile `source`, which defines `function` and may use `names`; `title` says in tracebacks what it is for."""
    filename = f"<bpfmodel {title} #{next(_count)}>"
    scope = dict(names)
    exec(compile(source, filename, "exec"), scope)
    # An entry without a time of change is never checked against a file, and stays.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    made: Callable[..., Any] = scope[function]
    return made
