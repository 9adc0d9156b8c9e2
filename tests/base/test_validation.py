"""Numbers are checked, and messages say what was wanted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from nbnet.base.validation import (
    ABOVE_ZERO,
    DECAY,
    FINITE,
    FRACTION,
    FROM_ZERO,
    Interval,
    check_choice,
    check_int,
    check_number,
)


@pytest.mark.parametrize(
    ("bounds", "good", "bad", "message"),
    [
        (FROM_ZERO, [0, 1.5, 10**9], [-0.1, math.inf, math.nan], "a finite number from 0"),
        (ABOVE_ZERO, [1e-9], [0.0, -1], "a finite number above 0"),
        (FRACTION, [0, 1], [1.1, -0.1], r"a number in \[0, 1\]"),
        (DECAY, [0, 0.99], [1], r"a number in \[0, 1\)"),
        (FINITE, [-1e9, 0], [math.inf, -math.inf], "a finite number"),
        (Interval(-math.inf, 0), [-3, 0], [0.1], "a finite number up to 0"),
        (Interval(-math.inf, 0, below=True), [-3], [0], "a finite number below 0"),
        (Interval(0, 1, above=True), [1], [0], r"a number in \(0, 1\]"),
    ],
)
def test_range(bounds: Interval, good: list[Any], bad: list[Any], message: str) -> None:
    for value in good:
        assert bounds.check(value, "x") == value
        assert bounds.check(np.float64(value), "x") == value
        assert bounds.check(np.array(value), "x") == value
    for value in bad:
        with pytest.raises(ValueError, match=f"x: expected {message}, got"):
            bounds.check(value, "x")


@pytest.mark.parametrize("value", ["1", None, 1j, [1.0], np.ones(1), np.array("a")])
def test_range_wants_numbers(value: Any) -> None:
    with pytest.raises(TypeError, match="x: expected a number"):
        FROM_ZERO.check(value, "x")


def test_count() -> None:
    assert check_int(np.int32(3), "n") == check_int(np.array(3), "n") == 3
    assert check_int(0, "n", 0) == 0
    for value in (0, -1, 1.0, True, "1"):
        with pytest.raises(ValueError, match="n: expected an integer from 1"):
            check_int(value, "n")


def test_count_without_a_bound() -> None:
    assert check_int(-3, "axis", None) == -3
    for value in (1.0, False, None):
        with pytest.raises(ValueError, match="axis: expected an integer, got"):
            check_int(value, "axis", None)


@pytest.mark.parametrize(
    ("choices", "message"),
    [(["a"], "'a'"), (["a", "b"], "'a' or 'b'"), ((None, "a", 2), "None, 'a' or 2"), ({"x": 1, "y": 2}, "'x' or 'y'")],
)
def test_choice(choices: Any, message: str) -> None:
    for value in choices:
        assert check_choice(value, "mode", choices) == value
    with pytest.raises(ValueError, match=f"mode: expected {message}, got 'z'"):
        check_choice("z", "mode", choices)


def test_number() -> None:
    assert check_number(np.float32(0.5), "x") == 0.5
    assert check_number(math.inf, "x") == math.inf
    for value in (True, "1", None, np.ones(1)):
        with pytest.raises(TypeError, match="x: expected a number"):
            check_number(value, "x")
