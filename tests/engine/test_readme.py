"""The engine's README: its example prints what it says it prints, and its op works.

``python -m tests.engine.test_readme`` writes the listing anew.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.engine.graph.op import registry
from tests.engine.toys import Array

README = Path(nb.engine.__path__[0]) / "README.md"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


def block(language: str, beginning: str = "") -> str:
    """The first code block in a language that begins so."""
    blocks = [text for kind, text in BLOCK.findall(README.read_text()) if kind == language]
    return next(text for text in blocks if text.startswith(beginning))


def printed() -> str:
    """Return the output of the example on one thread."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(block("python", "import nbnet"), {})
    return said.getvalue()


def test_the_listing_is_what_the_example_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBNET_NUM_THREADS", "1")
    nb.utils.clear_session()  # Names are numbered from here on.
    assert block("text") == printed(), "the listing is out of date: python -m tests.engine.test_readme writes it anew"


def test_the_op_of_the_example() -> None:
    source = block("python", "@kernel\ndef square")
    scope: dict[str, Any] = {}
    exec(
        "from nbnet.engine.kernels.abi import accumulates, kernel, vec\nfrom nbnet.engine.graph.op import Op, register",
        scope,
    )
    exec("from nbnet.engine.graph.tensor import apply, tensor", scope)
    exec(source.replace('"square"', '"readme_square"'), scope)
    try:
        x: Array = np.array([1.0, -2.0, 3.0])
        p = nb.Parameter(x)
        with nb.Tape() as tape:
            y = scope["square"](p) + p
        np.testing.assert_allclose(y, x * x + x)
        np.testing.assert_allclose(tape.gradient(y, p), 2 * x + 1)
    finally:
        registry.pop("readme_square", None)


@pytest.mark.parametrize("path", re.findall(r"`(nbnet/[\w/.]+|tests/[\w/.]+)`", README.read_text()))
def test_files_it_names_exist(path: str) -> None:
    if not (README.parents[2] / path).exists() and path.startswith("tests/"):
        pytest.skip("installed without tests")
    assert (README.parents[2] / path).exists()


if __name__ == "__main__":
    os.environ["NBNET_NUM_THREADS"] = "1"
    text = README.read_text()
    README.write_text(text.replace(f"```text\n{block('text')}```", f"```text\n{printed()}```"))
