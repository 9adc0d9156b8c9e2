"""Labels and the numbers that stand for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from nbnet.estimators.base import sample_weights
from nbnet.estimators.targets import Labels


@pytest.mark.parametrize(
    ("y", "kind", "codes"),
    [
        ([1, 0, 1], "binary", [1, 0, 1]),
        ([-1, 1], "binary", [0, 1]),
        (["b", "a", "c"], "multiclass", [1, 0, 2]),
        (np.array(["b", "a"], object), "binary", [1, 0]),
        ([5, 5], "binary", [0, 0]),
        ([True, False], "binary", [1, 0]),
    ],
)
def test_labels(y: Any, kind: str, codes: list[int]) -> None:
    labels = Labels.of(y)
    assert labels.kind == kind
    assert labels.encode(y).tolist() == codes
    scores = np.eye(max(len(labels.classes), 3))[codes] if kind == "multiclass" else np.array(codes)[:, None] * 0.9
    assert labels.decode(scores).tolist() == list(y)


def test_indicators() -> None:
    y = np.array([[1, 0, 1], [0, 1, 0]])
    for given in (y, sparse.csr_matrix(y)):
        labels = Labels.of(given)
        assert (labels.kind, labels.outputs) == ("multilabel-indicator", 3)
        np.testing.assert_array_equal(labels.encode(given), y != 0)
        found = labels.decode(y * 0.8)
        assert sparse.issparse(found) == sparse.issparse(given)
        np.testing.assert_array_equal(found.toarray() if sparse.issparse(found) else found, y)


def test_errors() -> None:
    with pytest.raises(ValueError, match="got 7"):
        Labels.of([0, 1]).encode([0, 7])
    with pytest.raises(ValueError, match=r"indicators \(n, 2\)"):
        Labels.of(np.eye(2, dtype=int)).encode(np.eye(3))
    with pytest.raises(ValueError, match="Unknown label type"):
        Labels.of([0.5, 1.5])


def test_sample_weights() -> None:
    X, y = np.zeros((4, 1)), np.array([0, 0, 0, 1])
    assert sample_weights(X, y, None, None, "float32") is None
    both = sample_weights(X, y, [1, 2, 1, 1], {0: 0.5, 1: 3}, "float64")
    assert both is not None
    assert both.tolist() == [0.5, 1.0, 0.5, 3.0]
    balanced = sample_weights(X, y, None, "balanced", "float32")
    assert balanced is not None
    assert balanced.dtype == np.float32
    np.testing.assert_allclose(balanced, [2 / 3] * 3 + [2.0], rtol=1e-6)
    with pytest.raises(ValueError, match="at least one non-zero"):
        sample_weights(X, y, np.zeros(4), None, "float32")
