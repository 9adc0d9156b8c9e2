"""Training from a file larger than the memory it may use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nbnet.engine.jit.linker import DISABLE_JIT

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc"),
    pytest.mark.skipif(DISABLE_JIT, reason="too slow in plain Python"),
]

# The file is sparse: pages never written read as zeros, and take no room on the disk.
SCRIPT = """
import sys
from pathlib import Path
import numpy as np
import nbnet as nb

def peak():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) >> 10

path, rows, columns = sys.argv[1], int(sys.argv[2]), 1024
with open(path, "wb") as file:
    file.truncate(rows * columns * 4)
x = np.memmap(path, "float32", "r+", shape=(rows, columns))
x[::rows // 16, :8] = 1
x.flush()
del x
x, y = np.memmap(path, "float32", "r", shape=(rows, columns)), np.arange(rows, dtype="uint8") % 2
model = nb.Sequential([nb.Input((columns,)), nb.layers.Dense(1, "sigmoid")])
model.compile("sgd", "binary_crossentropy")
model.fit(x[:512], y[:512], verbose=0)
model.predict(x[:512], verbose=0)
before = peak()
for shuffle in (True, False):
    model.fit(x, y, batch_size=128, validation_split=0.25, shuffle=shuffle, verbose=0)
model.evaluate(x, y, verbose=0)
model.predict(x, verbose=0)
print(before, peak())
"""


def peaks(folder: Path, rows: int) -> tuple[int, int]:
    """MB before the file is read, and at the end."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(folder / "x"), str(rows)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    before, after = map(int, done.stdout.split())
    return before, after


def test_a_file_of_300_megabytes(tmp_path):
    before, after = peaks(tmp_path, 75_000)
    assert after - before < 160


@pytest.mark.slow
def test_a_file_of_four_gigabytes_in_less_than_half_a_gigabyte(tmp_path):
    _, after = peaks(tmp_path, 1 << 20)
    assert after < 500
