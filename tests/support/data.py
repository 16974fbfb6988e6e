"""Where the compiled objects of the tests lie."""

from __future__ import annotations

from pathlib import Path

TESTDATA = Path(__file__).parent.parent / "testdata"


def testdata(name: str) -> Path:
    """Return the path of a committed object: ``testdata("scalars")`` is ``scalars.bpf.o``."""
    return TESTDATA / f"{name}.bpf.o"


testdata.__test__ = False  # type: ignore[attr-defined]  # its name begins like a test's
