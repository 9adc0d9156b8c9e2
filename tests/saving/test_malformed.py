"""Damaged files are refused with a message, and nothing large is allocated for them."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import nbnet as nb
from tests.saving.malformed import CASES, Change, Parts

#: Bytes that reading may take beyond the size of the file.
A_LITTLE = 64 << 20


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file of a model that was trained."""
    nb.set_random_seed(0)
    layers = [nb.layers.Dense(8, "relu"), nb.layers.Dropout(0.5), nb.layers.BatchNormalization(), nb.layers.Dense(1)]
    for layer, name in zip(layers, ("dense", "dropout", "batch_normalization", "dense_1"), strict=True):
        layer.name = name
    model = nb.Sequential([nb.Input((4,)), *layers], name="sequential")
    model.compile(nb.optimizers.SGD(0.1, momentum=0.9), "mse", metrics=["mae"])
    x = np.random.default_rng(0).normal(size=(32, 4))
    model.fit(x, x[:, :1], epochs=2, verbose=0)
    path = tmp_path_factory.mktemp("good") / "good.nbnet"
    model.save(path)
    return path.read_bytes()


def test_the_good_file_is_read_again(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.nbnet"
    path.write_bytes(Parts.of(good).joined())
    assert nb.load_model(path).optimizer.iterations == 2  # type: ignore[union-attr]


def test_there_are_enough_of_them() -> None:
    assert len({name for name, _, _ in CASES}) == len(CASES) >= 60


@pytest.mark.parametrize(("change", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_damaged_file_is_refused(good: bytes, tmp_path: Path, change: Change, message: str) -> None:
    parts = Parts.of(good)
    made = change(parts)
    content = made if isinstance(made, bytes) else parts.joined()
    path = tmp_path / "m.nbnet"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message) as caught:
            nb.load_model(path)
        assert tracemalloc.get_traced_memory()[1] < len(content) + A_LITTLE
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith("m.nbnet: ")
    assert len(str(caught.value)) < 2000


def test_weights_are_left_alone_by_a_damaged_file(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.nbnet"
    path.write_bytes(good)
    model = nb.load_model(path)
    before = model.get_weights()
    for name, change, _ in CASES:
        if name.startswith(("weight ", "half", "offsets")):
            parts = Parts.of(good)
            made = change(parts)
            path.write_bytes(made if isinstance(made, bytes) else parts.joined())
            with pytest.raises(ValueError, match=r"m\.nbnet"):
                model.load_weights(path)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))


def test_random_damage_never_crashes(good: bytes, tmp_path: Path) -> None:
    """Single bytes changed anywhere: the file is refused, or it is a file of other numbers."""
    rng, path = np.random.default_rng(0), tmp_path / "m.nbnet"
    for at in rng.integers(0, len(good), 150):
        content = bytearray(good)
        content[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        try:
            nb.load_model(path)
        except ValueError as error:
            assert str(error).startswith("m.nbnet: ")  # noqa: PT017
