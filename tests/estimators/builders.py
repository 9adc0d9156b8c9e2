"""Functions that build models: here, so that other processes find them."""

from __future__ import annotations

from typing import Any

import nbnet as nb


def plain(units: int = 8, rate: float = 0.0, *, n_features_in: int, n_classes: int) -> nb.Model:
    """A classifier that asks for two facts by name."""
    return nb.Sequential(
        [
            nb.Input((n_features_in,)),
            nb.layers.Dense(units, "relu", name="hidden"),
            nb.layers.Dropout(rate, name="drop"),
            nb.layers.Dense(n_classes, "softmax", name="output"),
        ]
    )


def as_for_scikeras(hidden: int, meta: dict[str, Any], compile_kwargs: Any = None) -> nb.Model:
    """A regressor written for SciKeras."""
    model = nb.models.Sequential()
    model.add(nb.layers.Dense(hidden, "relu", input_shape=(meta["n_features_in_"],)))
    model.add(nb.layers.Dense(meta["n_outputs_"]))
    return model


class Net(nb.Model):
    """A class whose constructor takes settings."""

    def __init__(self, units: int = 4, n_classes: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden, self.out = nb.layers.Dense(units, "relu"), nb.layers.Dense(n_classes, "softmax")

    def call(self, x: Any) -> Any:
        return self.out(self.hidden(x))
