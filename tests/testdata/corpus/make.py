"""Writes sources of the corpus: ``python make.py types_00.bpf.c`` writes that file, whose name says all about it."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.ctypegen import unit  # noqa: E402  # what it is imported from is only now known

for path in map(Path, sys.argv[1:]):
    path.write_text(unit(path.name.removesuffix(".bpf.c")).source)
