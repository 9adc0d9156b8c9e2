"""The benchmark of slices runs, and says what it found."""

from __future__ import annotations

import pytest

from benchmarks import slices


def test_quick(capsys: pytest.CaptureFixture[str]) -> None:
    slices.main(["--quick", "--fit"])
    printed = capsys.readouterr().out
    assert "16-16-16" in printed
    assert "chosen badly: " in printed
    assert "MULTIPLY_ADD " in printed


def test_networks_are_built() -> None:
    for name, make, sizes in slices.networks():
        assert make().count_params() > 0, name
        assert sizes == sorted(sizes)


@pytest.mark.parametrize("arguments", [["--slices", "1"], ["--rounds", "0"]])
def test_wrong_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        slices.main(arguments)
    assert "--slices, --rounds" in capsys.readouterr().err
