"""The table of shared masks has a row for each variant, and ratios are to masks of rows."""

from __future__ import annotations

import pytest

from benchmarks import batchwise


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    batchwise.main(["--quick"])
    lines = capsys.readouterr().out.splitlines()
    for name in batchwise.VARIANTS:
        assert any(line.startswith(f"{name}  ") for line in lines)


def test_ratios_are_to_the_masks_of_rows_in_the_same_round() -> None:
    times = {name: [4.0, 6.0] for name in batchwise.VARIANTS} | {"a mask a batch": [1.0, 3.0]}
    found = next(line for line in batchwise.table(times).splitlines() if line.startswith("a mask a batch  "))
    assert found.split("  ")[-1].strip() == "0.38 [0.25 - 0.50]"


@pytest.mark.parametrize("option", ["--rounds", "--steps"])
def test_arguments_are_checked(option: str) -> None:
    with pytest.raises(SystemExit):
        batchwise.main([option, "0"])
