"""Users' scripts are checked against the types of the package."""

from __future__ import annotations

from pathlib import Path

from mypy import api

HERE = Path(__file__).parent
PROJECT = HERE.parents[1] / "pyproject.toml"


def test_a_typed_script(tmp_path: Path) -> None:
    script = HERE / "typed_script.py"
    found, errors, status = api.run(
        ["--strict", "--config-file", str(PROJECT), "--cache-dir", str(tmp_path), str(script)]
    )
    problems = [line for line in found.splitlines() if "typed_script.py" in line]
    assert (problems, errors) == ([], "")
    assert status == 0, found
