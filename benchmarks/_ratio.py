"""What the benchmarks share: two sides timed in turns, and one line that says how they compare.

Import it before bpfmodel: it makes the checkout importable where the library is not installed, and `tests/support` always.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if find_spec("bpfmodel") is None:
    sys.path.insert(0, str(ROOT))
sys.path.append(str(ROOT / "tests"))

Side = Callable[[], float]
"""Does its work once or many times, and returns the seconds that one time took."""


def fastest(*sides: Side, rounds: int) -> list[float]:
    """Let the sides take turns, so that what slows the machine down hits them alike; return the least time of each."""
    for side in sides:
        side()  # what only the first time costs (lazy imports, caches) is no part of these claims
    taken = [[side() for side in sides] for _ in range(rounds)]
    return [min(times) for times in zip(*taken, strict=True)]


def timed(work: Callable[[], object], number: int) -> Side:
    """Make a side of a function; it runs `number` times a turn. Garbage is collected as in any program.

    The last result is dropped when the clock has stopped: a user keeps it.
    """

    def side() -> float:
        kept: object = None
        start = time.perf_counter()
        for _ in range(number):
            kept = work()
        taken = time.perf_counter() - start
        del kept
        return taken / number

    return side


def compare(what: str, ours: float, reference: str, theirs: float, target: float) -> None:
    """Print the line: the ratio, its target, and the two times it is made of."""
    ratio = ours / theirs
    verdict = "met" if ratio <= target else "missed"
    print(
        f"{what}: {ratio:.2f}x {reference} (target: at most {target:.2f}x, {verdict}); {show(ours)} against {show(theirs)}"
    )


def show(seconds: float) -> str:
    """Write a time in the unit that suits it."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.2f} {unit}"
    return f"{seconds * 1e9:.1f} ns"
