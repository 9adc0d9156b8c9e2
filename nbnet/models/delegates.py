"""Methods of models that packages built on them do: files, ONNX, thinned models, trees of state.

This is the one place where models reach those packages, which are imported when a method is called.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from nbnet.base.json_record import plain
from nbnet.base.validation import check_choice
from nbnet.ops import convert_to_tensor

if TYPE_CHECKING:
    from nbnet.saving import load_model as load_model
    from nbnet.saving import save_model as save_model

FilePath = str | os.PathLike[str]


def saving_module() -> Any:
    """Return :mod:`nbnet.saving`."""
    from nbnet import saving

    return saving


def graph_from_keras(config: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the inputs and outputs that nodes in Keras's form describe."""
    from nbnet.saving.models import graph_from_keras

    return graph_from_keras(config)


def model_from_keras(record: Mapping[str, Any]) -> Any:
    """Return the model that a configuration in Keras's form describes, compiled as it says."""
    from nbnet.saving.models import model_from_keras

    return model_from_keras(record)


def _variables(model: Any) -> dict[str, list[tuple[str, Any]]]:
    """Return paths and variables by their kind."""
    optimizer = [] if model.optimizer is None else model.optimizer.variables
    return {
        "trainable_variables": [(v.path, v) for v in model.trainable_variables],
        "non_trainable_variables": [(v.path, v) for v in model.non_trainable_variables],
        "optimizer_variables": [(v.path, v) for v in optimizer],
        "metrics_variables": [(f"{m.name}/{v.name}", v) for m in model.metrics for v in m.variables],
    }


class Delegates:
    """Part of :class:`nbnet.Model`: what packages built on models do for it."""

    name: str

    def thin(self, masks: Mapping[str, Any]) -> Self:
        """Return the smaller model that is left when masks drop units for good.

        Rows and columns of weights that belong to dropped units are left out, and each dropout layer with a mask
        becomes its factor ``1 / (1 - rate)``, a :class:`nbnet.layers.Rescaling` of its name. Called for training or
        not, the result gives what this model gives for training on a tape with these masks, up to the order of sums
        (with batch normalization: called for training). It takes the same inputs: where a mask drops units of the
        input itself, a :class:`nbnet.layers.TakeUnits` picks the others; where a layer that does not map 0 to 0 reads
        dropped units, or the model returns them, a :class:`nbnet.layers.PutUnits` puts zeros in their place. Dropout
        layers without a mask stay.

        The weights are copies. Train them like those of any model, and write them back with :meth:`merge`.

        Parameters
        ----------
        masks
            ``{name of a dropout layer: bool array}``, True = kept: one mask for all rows, (units,), or with axes of
            length 1 before it. A layer's second call has the name ``name:1``, as on a tape.

        Returns
        -------
        A model of the same class, not compiled.

        Raises
        ------
        ValueError
            If a mask keeps nothing, differs from row to row or fits no layer; if masks together keep nothing of a
            layer; or if the model's class defines ``call``.
        TypeError
            If masks are no dict of boolean arrays.

        Notes
        -----
        ``Dense``, ``Conv1D``, ``Conv2D`` and ``BatchNormalization`` get smaller, through activations, pooling,
        ``Flatten``, ``Concatenate``, and sums (or products, maxima ...) of branches: of those, units that all branches
        drop. Any other layer computes all its units, and so does one that is called more than once or penalises its
        output: for what is dropped before it, it gets zeros; what is dropped after it is picked out.

        References
        ----------
        N. Srivastava et al.: Dropout: a simple way to prevent neural networks from overfitting. JMLR 15 (2014), section
        1: training with dropout is training a thinned network for each case.

        Examples
        --------
        >>> import nbnet as nb
        >>> hidden = [nb.layers.Dense(100, "relu"), nb.layers.Dropout(0.5, name="drop")]
        >>> model = nb.Sequential([nb.Input((4,)), *hidden, nb.layers.Dense(1)])
        >>> small = model.thin({"drop": [True, False] * 50})
        >>> model.count_params(), small.count_params()
        (601, 301)
        >>> small.compile("sgd", "mse")
        >>> history = small.fit([[1.0, 2.0, 3.0, 4.0]], [1.0], verbose=0)
        >>> model.merge(small)
        """
        from nbnet.thinning import thin

        return cast(Self, thin(cast(Any, self), masks))

    def merge(self: Any, thinned: Any, masks: Mapping[str, Any] | None = None) -> None:
        """Write the weights of a model that :meth:`thin` made back to where they came from.

        Weights that belong to dropped units stay as they are, bit for bit; so does the state of the optimizer. Nothing
        is written if something does not fit.

        Parameters
        ----------
        thinned
            The smaller model.
        masks
            The masks it was made by; needed if it comes from a file.

        Raises
        ------
        ValueError
            If it is not a thinned version of this model by these masks.
        """
        from nbnet.thinning import merge

        merge(self, thinned, masks)

    def save(self: Any, filepath: FilePath, overwrite: bool = True, include_optimizer: bool = True) -> None:
        """Write the model to a file that ends in ``.nbnet``, ``.keras`` or ``.h5``: see
        :func:`nbnet.saving.save_model`."""
        from nbnet.saving import save_model

        save_model(self, filepath, overwrite, include_optimizer)

    def save_weights(self: Any, filepath: FilePath, overwrite: bool = True) -> None:
        """Write the weights to a file: see :func:`nbnet.saving.save_weights`."""
        from nbnet.saving import save_weights

        save_weights(self, filepath, overwrite)

    def load_weights(self: Any, filepath: FilePath, skip_mismatch: bool = False, by_name: bool = False) -> None:
        """Set the weights from a file: see :func:`nbnet.saving.load_weights`."""
        from nbnet.saving import load_weights

        load_weights(self, filepath, skip_mismatch, by_name)

    def _save_training_state(self: Any, path: Path, callbacks: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the state that :class:`nbnet.callbacks.BackupAndRestore` restores, with those of callbacks."""
        from nbnet.saving.models import save_state

        save_state(self, path, callbacks)

    def _load_training_state(self: Any, path: Path) -> Mapping[str, Mapping[str, Any]]:
        """Restore weights, optimizer and position of a training; return the states of callbacks."""
        from nbnet.saving.models import load_state

        return load_state(self, path)

    def export(
        self: Any,
        filepath: FilePath,
        format: str = "onnx",
        verbose: bool | None = None,
        input_signature: Any = None,
        opset_version: int = 17,
    ) -> None:
        """Write the model, in evaluation mode, as an ONNX file: see :func:`nbnet.export.export`. Layers that read
        strings are left out: what they make of the data is its input.

        Examples
        --------
        >>> import tempfile
        >>> import nbnet as nb
        >>> model = nb.Sequential([nb.Input((4,)), nb.layers.Dense(2, "softmax")])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.export(f"{folder}/model.onnx")
        """
        from nbnet.export import export

        export(self, filepath, format, verbose, input_signature, opset_version)

    def to_json(self: Any, **kwargs: Any) -> str:
        """Return the model as JSON, without weights, in Keras's form: see :func:`nbnet.models.model_from_json`.

        Parameters
        ----------
        **kwargs
            For ``json.dumps``, as ``indent``.
        """
        from nbnet.saving.models import model_to_keras

        return json.dumps(plain(model_to_keras(self), "model"), allow_nan=False, **kwargs)

    def get_compile_config(self: Any) -> dict[str, Any] | None:
        """Return the optimizer, loss and metrics that :meth:`compile` was given; None if it was not called."""
        from nbnet.saving.models import compile_config

        return compile_config(self)

    def compile_from_config(self: Any, config: Mapping[str, Any]) -> None:
        """Compile the model as :meth:`get_compile_config` describes."""
        from nbnet.saving.models import compile_from_config

        compile_from_config(self, config)

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, Any]:
        """Return the values of all variables in dicts by their paths: ``trainable_variables``,
        ``non_trainable_variables``, ``optimizer_variables`` and ``metrics_variables``; as tensors, or as arrays with
        ``"numpy_array"``."""
        check_choice(value_format, "value_format", ["backend_tensor", "numpy_array"])
        tree: dict[str, Any] = {}
        for kind, variables in _variables(self).items():
            place_of = tree[kind] = {}
            for path, variable in variables:
                *folders, name = path.split("/")
                place: dict[str, Any] = place_of
                for folder in folders:
                    place = place.setdefault(folder, {})
                if name in place:
                    raise ValueError(f"model: two variables of {self.name} have the path {path!r}")
                place[name] = variable.numpy() if value_format == "numpy_array" else convert_to_tensor(variable.numpy())
        return tree

    def set_state_tree(self, state_tree: Mapping[str, Any]) -> None:
        """Assign the variables of a tree as :meth:`get_state_tree` returns it, or of a part of one."""
        known = {kind: dict(variables) for kind, variables in _variables(self).items()}
        assigned: list[tuple[Any, Any]] = []

        def walk(part: Any, kind: str, path: str) -> None:
            for name, value in part.items():
                if isinstance(value, Mapping):
                    walk(value, kind, f"{path}{name}/")
                elif f"{path}{name}" not in known[kind]:
                    raise ValueError(f"state_tree: {self.name} has no variable {path + name!r} among its {kind}")
                else:
                    assigned.append((known[kind][f"{path}{name}"], value))

        for kind, part in state_tree.items():
            if kind not in known:
                raise ValueError(f"state_tree: expected some of {list(known)}, got {kind!r}")
            walk(part, kind, "")
        for variable, value in assigned:
            variable.assign(value)
