"""Shared setup of all tests: Hypothesis profiles, a cache folder of the run's own, the folder of real data."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Set before nbnet is imported: a test run neither reads nor writes the user's compiled kernels.
if not os.environ.get("NBNET_CACHE_DIR"):
    os.environ["NBNET_CACHE_DIR"] = tempfile.mkdtemp(prefix="nbnet-tests-")
    atexit.register(shutil.rmtree, os.environ["NBNET_CACHE_DIR"], ignore_errors=True)

# No deadline: the first example may compile a kernel.
settings.register_profile("dev", deadline=None, max_examples=25)
settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


@pytest.fixture(scope="session", autouse=True)
def compiling_beside() -> Iterator[None]:
    """A second process that compiles what later tests need."""
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0") or (os.cpu_count() or 1) < 2:
        yield
        return
    command = [sys.executable, "-m", "tests.warm"]
    with subprocess.Popen(command, cwd=Path(__file__).resolve().parents[1], stderr=subprocess.DEVNULL) as process:
        yield
        process.kill()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: ``NBNET_SHARED_DATA``, else ``../shared/data`` beside the repository."""
    named = os.environ.get("NBNET_SHARED_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not a folder (name one in NBNET_SHARED_DATA)")
    return folder
