"""README.md keeps its word: its Python runs, its make targets and files exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import nbnet as nb

ROOT = Path(__file__).resolve().parents[2]
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


@pytest.mark.parametrize(
    ("path", "mark"),
    [
        ("README.md", "peers summary"),
        ("benchmarks/README.md", "benchmark"),
        ("benchmarks/README.md", "estimators"),
        ("benchmarks/README.md", "peers pictures"),
        ("benchmarks/peers/README.md", "peers train, all"),
    ],
)
def test_markers_of_generated_tables_frame_one_block(path: str, mark: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    begin, end = f"<!-- {mark}:begin -->", f"<!-- {mark}:end -->"
    assert text.count(begin) == text.count(end) == 1
    assert text.index(begin) < text.index(end)


def test_what_is_where_names_files_and_folders_that_exist() -> None:
    table = README.split("## What is where")[1].split("\n## ")[0]
    named = re.findall(r"`([\w/]+/|[\w/]+\.py)`", table)
    assert len(named) > 20
    assert [name for name in named if name != "nbnet/" and not (ROOT / "nbnet" / name).exists()] == []


def test_the_first_page_is_short() -> None:
    assert README.count("\n") <= 220
