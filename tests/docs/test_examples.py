"""Every example runs as a user would run it, and says what it promises."""

from __future__ import annotations

import ast
import functools
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(script: str, *arguments: object, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run an example; a folder ``path`` goes before all others that modules are imported from."""
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_DISABLE_JIT"}
    environment["PYTHONPATH"] = os.pathsep.join(str(p) for p in (path, ROOT, os.environ.get("PYTHONPATH")) if p)
    command = [sys.executable, str(ROOT / "examples" / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=1800)


def output(script: str, *arguments: object) -> str:
    """Run an example, which must succeed without errors, not even ignored ones of a kernel; return its output."""
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


def test_dropout_lab(tiny_mnist: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the lab draws with matplotlib (the extra 'plot')")
    text = output("dropout_lab.py", "--data", tiny_mnist, "--out", tmp_path / "lab", "--quick")
    assert "drawn again from the seed: equal: True" in text
    assert len(re.findall(r"^classifier +with(?:out)? dropout +test error [\d.]+%", text, re.M)) == 2
    pictures = {path.name for path in (tmp_path / "lab").iterdir()}
    assert pictures == {f"{name}.png" for name in ("activations", "correlations", "features", "keep_rates", "masks")}


def test_custom_op() -> None:
    text = output("custom_op.py")
    assert number(r"relative error ([\d.e-]+)", text) < 1e-6
    errors = {name: number(rf"{name} .*outside.*: +([\d.]+)", text) for name in ("relu", "snake")}
    assert errors["snake"] < 0.1 < 1 < errors["relu"]


#: Scripts as users of Keras write them: arguments for a short run, and what is printed with the least it must be.
TWINS: dict[str, tuple[tuple[object, ...], dict[str, float]]] = {
    "binary_classification.py": (
        ("--epochs", 30),
        {r"test accuracy +([\d.]+)%": 92, r"test AUC +([\d.]+)": 0.97, r"found (\d+) of 53": 46},
    ),
    "multiclass_classification.py": (
        ("--epochs", 15),
        {r"test accuracy +([\d.]+)%": 95.5, r"first two in ([\d.]+)%": 98, r"surest of: ([\d.]+)%": 99},
    ),
    "regression.py": (("--epochs", 40), {r"test r2 +([\d.]+)": 0.85, r"test rows, ([\d.]+) far": 1}),
    "multi_input.py": (("--epochs", 8), {r"sum right +([\d.]+)%": 85, r"larger right +([\d.]+)%": 94}),
    "embedding_tabular.py": (("--epochs", 8), {r"explains (\d+)%": 90}),
    "residual.py": (("--epochs", 8), {r"residual .*accuracy ([\d.]+)%": 90}),
    "convnet_fashion_mnist.py": (("--digits", "--epochs", 3), {r"test accuracy +([\d.]+)%": 70}),
    "padded_sequences.py": (
        ("--epochs", 8),
        {
            r"average .*accuracy ([\d.]+)": 0.7,
            r"attention .*accuracy ([\d.]+)": 0.95,
            r"each .*accuracy ([\d.]+)": 0.99,
        },
    ),
    "custom_loop.py": (
        ("--epochs", 10),
        {r"epoch +10: ([\d.]+)% of the chosen": 90, r"accuracy, duo +([\d.]+)%": 88},
    ),
}


@functools.cache
def twin(script: str) -> str:
    """Return the output of a short run."""
    return output(script, *TWINS[script][0])


@pytest.mark.parametrize("script", TWINS)
def test_twins_of_keras_learn(script: str) -> None:
    text, least = twin(script), TWINS[script][1]
    found = {pattern: number(pattern, text) for pattern in least}
    assert all(found[pattern] >= least[pattern] for pattern in least), found


def test_padding_does_not_count_in_the_accuracy() -> None:
    text = twin("padded_sequences.py")
    assert number(r"each token: accuracy ([\d.]+)", text) == pytest.approx(number(r"by hand ([\d.]+)", text), abs=1e-3)


def test_sklearn_pipeline() -> None:
    text = output("sklearn_pipeline.py")
    assert number(r"accuracy of the network: ([\d.]+)%", text) >= 93
    assert number(r"accuracy of the stack: ([\d.]+)%", text) >= 93
    assert number(r"by cross-validation: ([\d.]+)", text) < 0.2
    assert number(r"calibrated: ([\d.]+)", text) < 0.25
    assert number(r"R2 of the regressor: ([\d.]+)", text) > 0.2
    assert 60 <= number(r"intervals of 80%: ([\d.]+)%", text) <= 95


def test_what_twins_are_compared_with() -> None:
    text = twin("embedding_tabular.py")
    assert number(r"of a rent +([\d.]+)%", text) < 0.9 * number(r"columns: ([\d.]+)%", text)
    assert number(r"plain .*accuracy ([\d.]+)%", twin("residual.py")) < 40


@pytest.mark.parametrize("script", TWINS)
def test_twins_differ_from_keras_by_their_import_line(script: str) -> None:
    tree = ast.parse((ROOT / "examples" / script).read_text(encoding="utf-8"))
    modules = [alias for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    modules += [ast.alias(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    ours = [(alias.name, alias.asname) for alias in modules if alias.name.split(".")[0] == "nbnet"]
    assert ours == [("nbnet", "keras")]


@pytest.mark.slow
@pytest.mark.parametrize("script", TWINS)
def test_twins_run_under_keras(script: str, tmp_path: Path) -> None:
    if any(find_spec(name) is None for name in ("keras", "jax")):
        pytest.skip("Keras or JAX is missing (the extra 'keras')")
    source = (ROOT / "examples" / script).read_text(encoding="utf-8")
    (tmp_path / script).write_text(source.replace("import nbnet as keras\n", "import keras\n"), encoding="utf-8")
    arguments, least = TWINS[script]
    command = [sys.executable, script, *map(str, arguments)]
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr
    found = {pattern: number(pattern, done.stdout) for pattern in least}
    assert all(found[pattern] >= least[pattern] for pattern in least), found


def test_fashion_mnist_from_files(tiny_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NBNET_DATA", str(tiny_mnist))
    text = output("convnet_fashion_mnist.py", "--epochs", 8)
    assert "(None, 28, 28, 16)" in text
    assert number(r"test accuracy +([\d.]+)%", text) > 30


def test_custom_train_step() -> None:
    text = output("custom_train_step.py", "--epochs", 8)
    plain, robust = (number(rf"{kind} .*mislead it ([\d.]+)%", text) for kind in ("Sequential", "Robust"))
    assert robust > plain + 10
    assert number(r"Robust +test accuracy ([\d.]+)%", text) > 90
