"""The tables of trainings and of searches."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn", reason="a search needs scikit-learn")

from benchmarks import search


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    search.main(["--quick"])
    lines = capsys.readouterr().out.splitlines()
    for name in ("4 x tiny", "4 x digits", "one by one", "fit_many", "search, 5 folds", "nbnet, MultiFitSearchCV"):
        assert any(line.startswith(name) for line in lines)


def test_ratios_are_of_the_first() -> None:
    times = {"one by one": [10.0, 20.0], "fit_many": [5.0, 10.0]}
    _, first, second = search.trainings_table(search.NETS[0], times).splitlines()
    assert first.split()[-4:] == ["1.00", "[1.00", "-", "1.00]"]
    assert second.split()[-4:] == ["2.00", "[2.00", "-", "2.00]"]
    lines = search.searches_table(times, {"one by one": 0.5, "fit_many": 0.25}).splitlines()
    assert [line.split()[-1] for line in lines] == ["score", "0.5000", "0.2500"]


def test_there_are_24_settings() -> None:
    count = 1
    for values in search.SETTINGS.values():
        count *= len(values)
    assert count == 24


@pytest.mark.parametrize("option", ["--rounds", "--epochs"])
def test_arguments_are_checked(option: str) -> None:
    with pytest.raises(SystemExit):
        search.main([option, "0"])
