"""What models have to do with files and configurations."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Self

from nbnet.core.structure import map_structure
from nbnet.layers.layer import Layer
from nbnet.models.intake import Inputs, packed
from nbnet.models.network import Network
from nbnet.models.position import Position
from nbnet.registry import custom_object_scope

FilePath = str | os.PathLike[str]
_BUILD = {"names": (str, list, type(None)), "pairs": (list, type(None)), "shapes": list, "whole": list}


class Persistence(Network):
    """The part of a :class:`nbnet.Model` that saves and exports it, and makes it again."""

    def __init__(self, inputs: Any, outputs: Any, **kwargs: Any) -> None:
        super().__init__(inputs, outputs, **kwargs)
        #: How far its training has come.
        self._position = Position()

    def save(self, filepath: FilePath, overwrite: bool = True, include_optimizer: bool = True) -> None:
        """Write the model to a file that ends in ``.nbnet``: see :func:`nbnet.saving.save_model`."""
        from nbnet.saving import save_model

        save_model(self, filepath, overwrite, include_optimizer)  # type: ignore[arg-type]

    def save_weights(self, filepath: FilePath, overwrite: bool = True) -> None:
        """Write the weights to a file: see :func:`nbnet.saving.save_weights`."""
        from nbnet.saving import save_weights

        save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: FilePath, skip_mismatch: bool = False) -> None:
        """Set the weights from a file: see :func:`nbnet.saving.load_weights`."""
        from nbnet.saving import load_weights

        load_weights(self, filepath, skip_mismatch)

    def export(
        self,
        filepath: FilePath,
        format: str = "onnx",
        verbose: bool | None = None,
        input_signature: Any = None,
        opset_version: int = 17,
    ) -> None:
        """Write the model, in evaluation mode, as an ONNX file: see :func:`nbnet.export.export`.

        Examples
        --------
        >>> import tempfile
        >>> import nbnet as nb
        >>> model = nb.Sequential([nb.Input((4,)), nb.layers.Dense(2, "softmax")])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.export(f"{folder}/model.onnx")
        """
        from nbnet.export import export

        export(self, filepath, format, verbose, input_signature, opset_version)  # type: ignore[arg-type]

    def to_json(self, **kwargs: Any) -> str:
        """The model as JSON, without weights: see :func:`nbnet.models.model_from_json`.

        Parameters
        ----------
        **kwargs
            For ``json.dumps``.
        """
        from nbnet.saving.clone import model_to_json

        return model_to_json(self, **kwargs)  # type: ignore[arg-type]

    def get_config(self) -> dict[str, Any]:
        """The layers and calls of a model of symbols; a subclass that defines ``call`` says itself what its
        constructor was given."""
        from nbnet.saving.functional import describe

        config = super().get_config()
        return config if self.graph is None else config | describe(self.graph)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """The model that :meth:`get_config` describes, with new weights.

        Parameters
        ----------
        custom_objects
            Classes and functions of your own, by name.
        """
        from nbnet.saving.functional import GRAPH, rebuild

        with custom_object_scope(custom_objects):
            if "calls" not in config:
                return super().from_config(config)
            inputs, outputs = rebuild(config)
            return cls(inputs=inputs, outputs=outputs, **{k: v for k, v in config.items() if k not in GRAPH})

    def _with_layers(self, layers: Mapping[int, Layer]) -> Self:
        """A model like this one of other layers.

        Parameters
        ----------
        layers
            By the ``id`` of the layer whose place they take.
        """
        from nbnet.saving.functional import describe, inner_layers, rebuild

        if self.graph is None:
            raise ValueError(f"clone_function: {self.name} is of a class that defines call; it cannot be taken apart")
        calls = describe(self.graph, with_layers=False)
        inputs, outputs = rebuild(calls, [layers[id(layer)] for layer in inner_layers(self.graph)])
        return type(self)(inputs=inputs, outputs=outputs, name=self.name, trainable=self.trainable)

    # ---- what a file says besides ----

    def get_build_config(self) -> dict[str, Any] | None:
        """The inputs that the model was built for, if its configuration does not say so."""
        if self._inputs is None or self.graph is not None:
            return None
        inputs = self._inputs
        # A dict loses its order in a file, and shapes are in that order.
        template = inputs.template
        pairs = [[key, name] for key, name in template.items()] if isinstance(template, dict) else None
        return {
            "names": None if pairs else map_structure(str, template),
            "pairs": pairs,
            "shapes": [list(shape) for shape in inputs.shapes],
            "whole": list(inputs.whole),
        }

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        """Build the model for the inputs that :meth:`get_build_config` described."""
        from nbnet.saving.record import fields

        fields(config, _BUILD, "build")
        template = config["names"] if config["pairs"] is None else {key: name for key, name in config["pairs"]}
        shapes = tuple(tuple(shape) for shape in config["shapes"])
        if self._inputs is None:
            inputs = Inputs(template, shapes, tuple(map(bool, config["whole"])))
            self.build_for(packed(template, [(None, *shape) for shape in shapes]))
            if self._inputs is None:
                self._inputs = inputs
                self._changed()
        # Layers that are attributes are built when they are called first.
        self.outline(self._some_rows())

    def get_compile_config(self) -> dict[str, Any] | None:
        """The optimizer, loss and metrics that :meth:`compile` was given; None if it was not called."""
        from nbnet.saving.models import compile_config

        return compile_config(self)  # type: ignore[arg-type]

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compile the model as :meth:`get_compile_config` says."""
        from nbnet.saving.models import compile_from_config

        compile_from_config(self, config)  # type: ignore[arg-type]
