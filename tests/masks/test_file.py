"""Masks in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbnet as nb
from nbnet.base import tensor_file

rng = np.random.default_rng(0)
MASKS = {
    "drop": rng.random((3, 50)) < 0.5,
    "drop:1": rng.random((1, 64)) < 0.5,
    "maps": rng.random((2, 3, 4, 5)) < 0.1,
    "none": np.zeros((0, 7), bool),
    "one": np.ones((), bool),
}


def test_they_come_back(tmp_path: Path) -> None:
    nb.save_masks(tmp_path / "m", MASKS)
    found = nb.load_masks(tmp_path / "m")
    assert found.keys() == MASKS.keys()
    for name, mask in MASKS.items():
        assert found[name].dtype == bool
        np.testing.assert_array_equal(found[name], mask, strict=True)
    nb.save_masks(tmp_path / "m", {"x": np.zeros((1000, 1000), bool)})
    assert (tmp_path / "m").stat().st_size < 126_000


def test_a_tape_replays_them(tmp_path: Path) -> None:
    nb.set_random_seed(0)
    layers = [nb.layers.Dropout(0.5, name="a"), nb.layers.Dense(9, "relu"), nb.layers.Dropout(0.2, name="b")]
    model = nb.Sequential([nb.Input((6,)), *layers])
    x = rng.normal(size=(5, 6))
    with nb.Tape() as tape:
        y = model(x, training=True)
    nb.save_masks(tmp_path / "m", tape.masks)
    with nb.Tape(masks=nb.load_masks(tmp_path / "m")) as again:
        z = model(x, training=True)
    np.testing.assert_array_equal(y, z)
    assert [node.scale for node in again.nodes if node.mask is not None] == [2.0, pytest.approx(1.25)]


@pytest.mark.parametrize(
    ("masks", "match"),
    [
        ([np.ones(2, bool)], r"^masks: expected a dict of bool arrays by name of layer, got list"),
        ({"a": np.ones(2)}, r"^masks\['a'\]: expected booleans, got float64"),
        ({1: np.ones(2, bool)}, r"^masks: expected names that are strings, got 1"),
        ({"": np.ones(2, bool)}, r"^masks: expected names that are strings, got ''"),
    ],
)
def test_only_masks_are_saved(masks: Any, match: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=match):
        nb.save_masks(tmp_path / "m", masks)
    assert not list(tmp_path.iterdir())


def test_a_file_is_kept_if_so_wanted(tmp_path: Path) -> None:
    nb.save_masks(tmp_path / "m", MASKS)
    with pytest.raises(FileExistsError):
        nb.save_masks(tmp_path / "m", {}, overwrite=False)
    assert set(nb.load_masks(tmp_path / "m")) == set(MASKS)


WORD = np.array([1], np.int64)


@pytest.mark.parametrize(
    ("tensors", "about", "match"),
    [
        ({"a": WORD}, {"kind": "model"}, "holds no masks"),
        ({"a": WORD}, {"kind": "masks", "shapes": {"b": [1]}}, "has shapes of"),
        ({"a": WORD}, {"kind": "masks", "shapes": {"a": [65]}}, "does not lie in"),
        ({"a": WORD}, {"kind": "masks", "shapes": {"a": [-1, -1]}}, "is not a shape"),
        ({"a": WORD}, {"kind": "masks", "shapes": {"a": "[1]"}}, "is not a shape"),
        ({"a": WORD * 2}, {"kind": "masks", "shapes": {"a": [1]}}, "bits behind its end"),
        ({"a": np.ones(1)}, {"kind": "masks", "shapes": {"a": [1]}}, "does not lie in float64"),
        ({"a": WORD}, {"kind": "masks", "shapes": {"a": [1]}, "more": 1}, "more"),
    ],
)
def test_files_are_read_with_suspicion(tensors: Any, about: Any, match: str, tmp_path: Path) -> None:
    tensor_file.write(tmp_path / "m", tensors, about)
    with pytest.raises(ValueError, match=match):
        nb.load_masks(tmp_path / "m")
    (tmp_path / "n").write_bytes(b"no masks")
    with pytest.raises(ValueError, match="n: "):
        nb.load_masks(tmp_path / "n")
