"""Every example runs as a user would run it, and says what it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(script: str, *arguments: object, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run an example; a folder ``path`` goes before all others that modules are imported from."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_DISABLE_JIT"}
    environment["PYTHONPATH"] = os.pathsep.join(str(p) for p in (path, ROOT, os.environ.get("PYTHONPATH")) if p)
    command = [sys.executable, str(ROOT / "examples" / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=1800)


def output(script: str, *arguments: object) -> str:
    """What an example that succeeds prints; it must not complain, a kernel's swallowed exception included."""
    done = run(script, *arguments)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "ignored" not in done.stderr
    return done.stdout


def number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    assert found, f"{pattern!r} not in {text!r}"
    return float(found[1])


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


@pytest.fixture
def tiny_mnist(tmp_path: Path) -> Path:
    """Four files of images that are noise except for one bright row, which is the label."""
    rng = np.random.default_rng(0)
    for name, n in (("train", 512), ("t10k", 100)):
        labels = rng.integers(0, 10, n, np.uint8)
        images = rng.integers(0, 64, (n, 28, 28), np.uint8)
        images[np.arange(n), 9 + labels] = 255
        (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(idx(images))
        (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(idx(labels))
    return tmp_path


def test_demo(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the demo draws with matplotlib (the extra 'plot')")
    picture = tmp_path / "picture.png"
    text = output("demo.py", "--out", picture)
    assert number(r"with dropout +test accuracy ([\d.]+)%", text) >= 97.5
    assert number(r"without dropout +test accuracy ([\d.]+)%", text) >= 95
    assert number(r"an epoch takes ([\d.]+) ms", text) > 0
    from matplotlib.image import imread

    image = imread(picture)
    assert min(image.shape[:2]) > 1000
    orange = np.abs(image[..., :3] - np.array([0xE8, 0x70, 0x2A]) / 255).max(-1) < 0.02
    assert 0.03 < orange.mean() < 0.3, "the masks are in the picture"


def test_demo_without_matplotlib(tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise ImportError\n")
    done = run("demo.py", path=tmp_path)
    assert done.returncode == 1
    assert "nbnet[plot]" in done.stderr
    assert "Traceback" not in done.stderr


def test_demo_refuses_one_epoch(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the demo draws with matplotlib (the extra 'plot')")
    done = run("demo.py", "--epochs", 1, "--out", tmp_path / "none.png")
    assert done.returncode == 2
    assert "--epochs" in done.stderr


def test_mnist_on_tiny_files(tiny_mnist: Path) -> None:
    text = output("mnist.py", "--data", tiny_mnist, "--epochs", 10)
    assert "512 images to train on, 100 to test" in text
    assert len(re.findall(r"^epoch +\d+: +[\d.]+ s", text, re.M)) == 10
    assert number(r"accuracy on 100 test images after 10 epochs: ([\d.]+)%", text) > 80


def test_mnist_repeats_and_talks(tiny_mnist: Path) -> None:
    first, second, other = (
        output("mnist.py", "--data", tiny_mnist, "--epochs", 1, "--seed", seed, "--verbose") for seed in (1, 1, 2)
    )
    losses = [number(r"s +loss ([\d.]+)", text) for text in (first, second, other)]
    assert losses[0] == losses[1] != losses[2]
    assert "Total params: 669,706" in first


def test_mnist_names_what_is_missing(tmp_path: Path) -> None:
    done = run("mnist.py", "--data", tmp_path)
    assert done.returncode == 2
    assert "train-images-idx3-ubyte" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_mnist_reaches_its_accuracy(shared_data: Path) -> None:
    if not (shared_data / "mnist").is_dir():
        pytest.skip(f"no real data: {shared_data / 'mnist'} is not a folder")
    text = output("mnist.py", "--data", shared_data / "mnist")
    assert number(r"accuracy on 10,000 test images after 20 epochs: ([\d.]+)%", text) >= 98.3


def test_masks_on_the_tape() -> None:
    text = output("masks_on_the_tape.py")
    # The script asserts what it says.
    assert re.findall(r"^(\d)\. .*\?$", text, re.M) == list("12345")
    assert text.count("  -> ") == 5
    assert "That of 0 and 1/(1-p)" in text
    assert "dropped: by 0.0000\n" in text


def test_custom_op() -> None:
    text = output("custom_op.py")
    assert number(r"relative error ([\d.e-]+)", text) < 1e-6
    errors = {name: number(rf"{name} .*outside.*: +([\d.]+)", text) for name in ("relu", "snake")}
    assert errors["snake"] < 0.1 < 1 < errors["relu"]
