"""The table of extras has a row for each, and marks those that cost too much."""

from __future__ import annotations

import pytest

from benchmarks import extras
from nbnet.engine.jit import linker


@pytest.mark.skipif(linker.DISABLE_JIT, reason="trains hundreds of steps, only to time them")
def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    extras.main(["--quick", "--workload", "tiny"])
    lines = capsys.readouterr().out.splitlines()
    for name in extras.VARIANTS:
        assert any(line.startswith(name + " ") for line in lines)


def test_what_costs_too_much_is_marked() -> None:
    costs = {extras.PLAIN: 1.0, "use_ema": 1.1, "max_norm": 1.2, "l2": 1.3}
    times = {name: [(plain, plain * cost) for plain in (10.0, 20.0, 30.0)] for name, cost in costs.items()}
    head, *rows = extras.table("tiny", times).splitlines()
    assert head.split() == ["tiny", "us/step", "over", "plain"]
    assert [row.endswith("!") for row in rows] == [False, False, True, False]


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--seconds", "0"], ["--workload", "huge"]])
def test_arguments_are_checked(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        extras.main(arguments)
