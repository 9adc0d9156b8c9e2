"""README.md keeps its word: its Python runs, its make targets and files exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import nbnet as nb

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[tuple[int, str]]:
    """(number of lines before it, code) of each block in a language."""
    found = re.finditer(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)
    return [(README.count("\n", 0, match.start(1)), match[1]) for match in found]


@pytest.fixture
def nothing_random_left() -> Any:
    """The README sets the global seed; the tests after it draw from a fresh one."""
    yield
    nb.set_random_seed(0)


@pytest.mark.usefixtures("nothing_random_left")
def test_python_blocks_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # they write files
    namespace: dict[str, Any] = {"__name__": "readme"}
    assert len(blocks("python")) >= 4
    for line, code in blocks("python"):
        # Blank lines in front: a traceback shows the line of README.md.
        exec(compile("\n" * line + code, ROOT / "README.md", "exec"), namespace)
    assert namespace["accuracy"] > 0.95
    assert namespace["dropped"].any()


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.M))
    named = set(re.findall(r"(?:^|`)make ([\w-]+)", README, re.M))
    assert {"demo", "test"} <= named <= targets


def test_files_and_modules_exist() -> None:
    linked = re.findall(r"\]\(([\w./-]+)\)", README)
    scripts = re.findall(r"\bexamples/\w+\.py\b", README)
    places = [ROOT / module.replace(".", "/") for module in re.findall(r"python -m ([\w.]+)", README)]
    modules = [place / "__main__.py" if place.is_dir() else place.with_suffix(".py") for place in places]
    assert linked
    assert scripts
    assert modules
    missing = [name for name in [*linked, *scripts, *modules] if not (ROOT / name).is_file()]
    assert missing == []


def test_benchmark_markers_frame_one_block() -> None:
    assert README.count("<!-- benchmark:begin -->") == README.count("<!-- benchmark:end -->") == 1
    assert README.index("<!-- benchmark:begin -->") < README.index("<!-- benchmark:end -->")
