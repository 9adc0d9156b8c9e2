"""What becomes of a library whose pages are let go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nbnet.core import jit, pages
from nbnet.core.op import registry
from tests.core.processes import python
from tests.core.toys import compiled_only

linux = pytest.mark.skipif(not pages.MAPS.exists(), reason="no /proc")


@linux
def test_code_comes_back() -> None:
    assert pages.let_go("_multiarray_umath") > 1 << 20
    a = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(a @ a.T, [[14, 38, 62], [38, 126, 214], [62, 214, 366]])


@linux
@compiled_only
def test_kernels_are_loaded_and_compiled_afterwards() -> None:
    jit.link([registry["add"].forward], np.dtype("float64"))
    assert pages.let_go("llvmlite") > 1 << 20
    assert all(jit.link([registry["subtract"].forward, registry["subtract"].backward], np.dtype("float64")))


@linux
@compiled_only
def test_a_process_is_smaller_for_it() -> None:
    said = python("""
        from nbnet.core import pages
        let_go = pages.let_go

        def resident():
            lines = open("/proc/self/status").read().splitlines()
            return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

        def spy(name):
            before = resident()
            let_go(name)
            print(name, before - resident() > 8192)

        pages.let_go = spy
        from nbnet.core.compiler import load_llvm
        load_llvm()
    """)
    assert said.split() == ["llvmlite", "True"]


@pytest.mark.parametrize("text", ["", "nonsense", "0-1 r-xp\n"])
def test_systems_that_say_something_else(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "MAPS", tmp_path / "maps")
    assert pages.let_go("llvmlite") == 0
    (tmp_path / "maps").write_text(text)
    assert pages.let_go("llvmlite") == 0
