"""The table of sampled predictions has a row for each kind of masks."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import mc_dropout


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    mc_dropout.main(["--quick"])
    lines = capsys.readouterr().out.splitlines()
    for name in ("input dropout 0 ", "input dropout 0.2", "per_sample ", "shared "):
        assert any(line.startswith(name) for line in lines)


def test_ratios_are_of_pytorchs_time() -> None:
    head, *rows = mc_dropout.table(0.2, {"shared": [1.0, 2.0], "PyTorch": [10.0, 20.0]}).splitlines()
    assert head.split() == ["input", "dropout", "0.2", "ms", "ratio"]
    assert "10.0 [10.0 - 10.0]" in rows[0]


def test_networks_that_differ_are_found_out() -> None:
    mean, std = np.full((4, 3), 0.3), np.full((4, 3), 0.1)
    chance = 0.01 * np.random.default_rng(0).normal(size=(2, 4, 3))
    mc_dropout.check((mean + chance[0], std), (mean + chance[1], std), 100)
    with pytest.raises(RuntimeError, match="standard errors apart"):
        mc_dropout.check((mean, std), (mean + 0.2, std), 100)


@pytest.mark.parametrize("option", ["--rounds", "--rows", "--samples"])
def test_arguments_are_checked(option: str) -> None:
    with pytest.raises(SystemExit):
        mc_dropout.main([option, "0"])
