"""Numbers are checked, and messages say what was wanted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nbnet.ranges import ABOVE_ZERO, DECAY, FINITE, FRACTION, FROM_ZERO, Range, count


@pytest.mark.parametrize(
    ("bounds", "good", "bad", "message"),
    [
        (FROM_ZERO, [0, 1.5, 10**9], [-0.1, math.inf, math.nan], "a finite number from 0"),
        (ABOVE_ZERO, [1e-9], [0.0, -1], "a finite number above 0"),
        (FRACTION, [0, 1], [1.1, -0.1], r"a number in \[0, 1\]"),
        (DECAY, [0, 0.99], [1], r"a number in \[0, 1\)"),
        (FINITE, [-1e9, 0], [math.inf, -math.inf], "a finite number"),
        (Range(-math.inf, 0), [-3, 0], [0.1], "a finite number up to 0"),
        (Range(-math.inf, 0, below=True), [-3], [0], "a finite number below 0"),
        (Range(0, 1, above=True), [1], [0], r"a number in \(0, 1\]"),
    ],
)
def test_range(bounds: Range, good: list[Any], bad: list[Any], message: str) -> None:
    for value in good:
        assert bounds.check(value, "x") == value
        assert bounds.check(np.float64(value), "x") == value
        assert bounds.check(np.array(value), "x") == value
    for value in bad:
        with pytest.raises(ValueError, match=f"x: wants {message}, got"):
            bounds.check(value, "x")


@pytest.mark.parametrize("value", ["1", None, 1j, [1.0], np.ones(1), np.array("a")])
def test_range_wants_numbers(value: Any) -> None:
    with pytest.raises(TypeError, match="x: wants a number"):
        FROM_ZERO.check(value, "x")


def test_count() -> None:
    assert count(np.int32(3), "n") == 3
    assert count(0, "n", 0) == 0
    for value in (0, -1, 1.0, True, "1"):
        with pytest.raises(ValueError, match="n: wants an integer from 1"):
            count(value, "n")
