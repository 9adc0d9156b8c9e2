"""Tables of features as vectors: a preprocessing layer for each column, and crosses of columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nbnet import layers
from nbnet.base.array_memory import held_array
from nbnet.base.registry import unique_name
from nbnet.base.validation import check_choice, check_int
from nbnet.engine.graph.op import INT
from nbnet.engine.graph.symbolic import Symbol, has_symbols
from nbnet.engine.graph.tensor import Tensor, tensor
from nbnet.layers.preprocessing import DataLayer
from nbnet.layers.serialization import deserialize, register_layer, serialize
from nbnet.layers.text import as_vectors
from nbnet.models.model import Model

Array = NDArray[Any]

_MODES = ("one_hot", "int", "float")
#: Rows that a layer learns from at a time, as in Keras: limits of bins depend on it.
_ROWS = 32


class Feature:
    """A feature of a :class:`FeatureSpace`: its dtype, the layer that prepares it, and the form of the result.

    Parameters
    ----------
    dtype
        ``"string"``, or a dtype of numbers.
    preprocessor
        A preprocessing layer.
    output_mode : {"one_hot", "int", "float"}
        With ``"one_hot"``, the integers that the layer returns become vectors.
    """

    def __init__(self, dtype: str, preprocessor: Any, output_mode: str) -> None:
        self.dtype, self.output_mode = str(dtype), check_choice(output_mode, "output_mode", _MODES)
        self.preprocessor = deserialize(preprocessor) if isinstance(preprocessor, Mapping) else preprocessor
        if not callable(self.preprocessor):
            raise TypeError(f"preprocessor: expected a layer, got {preprocessor!r}")

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            "dtype": self.dtype, "preprocessor": serialize(self.preprocessor), "output_mode": self.output_mode,
        }  # fmt: skip


class Cross:
    """A cross of features of a :class:`FeatureSpace`: combinations of their values, hashed to bins.

    Parameters
    ----------
    feature_names
        Names of two features or more.
    crossing_dim
        Number of bins.
    output_mode : {"one_hot", "int"}
        Form of the result.
    """

    def __init__(self, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot") -> None:
        self.feature_names = tuple(feature_names)
        if len(self.feature_names) < 2:
            raise ValueError(f"feature_names: expected two names or more, got {feature_names!r}")
        self.crossing_dim = check_int(crossing_dim, "crossing_dim")
        self.output_mode = check_choice(output_mode, "output_mode", ("int", "one_hot"))

    @property
    def name(self) -> str:
        """The names of the features, joined by ``_X_``."""
        return "_X_".join(self.feature_names)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {
            "feature_names": list(self.feature_names), "crossing_dim": self.crossing_dim,
            "output_mode": self.output_mode,
        }  # fmt: skip


@register_layer
class FeatureSpace(DataLayer):
    """Prepares the columns of a table, each in its way, and joins the results to a vector for each row.

    It works on data, before a model or as the first layer of one: see :class:`nbnet.layers.StringLookup`.

    Parameters
    ----------
    features
        For each column by name, a kind: ``"float"``, ``"float_rescaled"``, ``"float_normalized"``,
        ``"float_discretized"``, ``"integer_categorical"``, ``"string_categorical"``, ``"integer_hashed"``,
        ``"string_hashed"``; or what the method of this name returns, or :meth:`feature`.
    output_mode : {"concat", "dict"}
        A vector for each row, of features and then crosses in the order of their names; or a dict by name.
    crosses
        Tuples of names, or what :meth:`cross` returns.
    crossing_dim, hashing_dim, num_discretization_bins
        Numbers of bins of crosses, hashed features and discretized ones, by default.
    name
        By default ``feature_space``, numbered.

    Raises
    ------
    ValueError
        If a kind or a name is not known, or it is called before :meth:`adapt` where features are to be learned.

    Examples
    --------
    >>> import nbnet as nb
    >>> table = {"size": [1.0, 3.0], "kind": ["a", "b"], "code": [7, 8]}
    >>> space = nb.utils.FeatureSpace(
    ...     {"size": "float_normalized", "kind": "string_categorical", "code": "integer_hashed"},
    ...     crosses=[("kind", "code")],
    ...     crossing_dim=4,
    ...     hashing_dim=3,
    ... )
    >>> space.adapt(table)
    >>> space(table).shape  # 3 for code, 3 for kind, 1 for size, 4 for the cross
    (2, 11)
    """

    def __init__(
        self,
        features: Mapping[str, Any],
        output_mode: str = "concat",
        crosses: Iterable[Any] | None = None,
        crossing_dim: int = 32,
        hashing_dim: int = 32,
        num_discretization_bins: int = 32,
        name: str | None = None,
        adapted: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if not isinstance(features, Mapping) or not features:
            raise ValueError(f"features: expected a dict of one feature or more, got {features!r}")
        self.crossing_dim, self.hashing_dim = crossing_dim, check_int(hashing_dim, "hashing_dim")
        self.num_discretization_bins = check_int(num_discretization_bins, "num_discretization_bins")
        self.output_mode = check_choice(output_mode, "output_mode", ("concat", "dict"))
        self.features = {key: self._feature(key, value) for key, value in features.items()}
        self.crosses = [self._cross(cross) for cross in crosses or ()]
        self.preprocessors = {key: feature.preprocessor for key, feature in self.features.items()}
        self.crossers = {
            cross.name: layers.HashedCrossing(cross.crossing_dim, name=cross.name) for cross in self.crosses
        }
        self._adapted = bool(adapted)
        self._symbols: tuple[dict[str, Symbol], Any] | None = None

    def _feature(self, name: str, value: Any) -> Feature:
        if isinstance(value, Feature):
            return value
        if isinstance(value, Mapping):
            return Feature(**value)
        defaults: dict[str, tuple[Any, ...]] = {
            "float_discretized": (self.num_discretization_bins,), "integer_hashed": (self.hashing_dim,),
            "string_hashed": (self.hashing_dim,),
        }  # fmt: skip
        make: Callable[..., Feature] = getattr(self, check_choice(value, f"features[{name!r}]", _KINDS))
        return make(*defaults.get(value, ()), name=name)

    def _cross(self, value: Any) -> Cross:
        cross = value if isinstance(value, Cross) else (
            Cross(**value) if isinstance(value, Mapping) else Cross(value, self.crossing_dim)
        )  # fmt: skip
        unknown = [name for name in cross.feature_names if name not in self.features]
        if unknown:
            raise ValueError(f"crosses: expected names among {list(self.features)}, got {unknown[0]!r}")
        return cross

    # ---- kinds of features ----

    @classmethod
    def cross(cls, feature_names: Sequence[str], crossing_dim: int, output_mode: str = "one_hot") -> Cross:
        """Return a :class:`Cross`."""
        return Cross(feature_names, crossing_dim, output_mode)

    @classmethod
    def feature(cls, dtype: str, preprocessor: Any, output_mode: str) -> Feature:
        """Return a :class:`Feature` with a layer of one's own."""
        return Feature(dtype, preprocessor, output_mode)

    @classmethod
    def float(cls, name: str | None = None) -> Feature:
        """Return a feature of numbers as they are."""
        return Feature("float32", layers.Identity(name=_layer_name("float", name)), "float")

    @classmethod
    def float_rescaled(cls, scale: Any = 1.0, offset: Any = 0.0, name: str | None = None) -> Feature:
        """Return a feature of numbers that :class:`nbnet.layers.Rescaling` prepares."""
        return Feature("float32", layers.Rescaling(scale, offset, name=_layer_name("float_rescaled", name)), "float")

    @classmethod
    def float_normalized(cls, name: str | None = None) -> Feature:
        """Return a feature of numbers that :class:`nbnet.layers.Normalization` prepares."""
        return Feature("float32", layers.Normalization(name=_layer_name("float_normalized", name)), "float")

    @classmethod
    def float_discretized(
        cls, num_bins: int | None, bin_boundaries: Any = None, output_mode: str = "one_hot", name: str | None = None
    ) -> Feature:
        """Return a feature of numbers that :class:`nbnet.layers.Discretization` prepares."""
        bins = None if bin_boundaries is not None else num_bins
        layer = layers.Discretization(bin_boundaries, bins, name=_layer_name("float_discretized", name))
        return Feature("float32", layer, output_mode)

    @classmethod
    def integer_categorical(
        cls, max_tokens: int | None = None, num_oov_indices: int = 1, output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:  # fmt: skip
        """Return a feature of integers that :class:`nbnet.layers.IntegerLookup` prepares."""
        layer = layers.IntegerLookup(max_tokens, num_oov_indices, name=_layer_name("integer_categorical", name))
        return Feature("int32", layer, output_mode)

    @classmethod
    def string_categorical(
        cls, max_tokens: int | None = None, num_oov_indices: int = 1, output_mode: str = "one_hot",
        name: str | None = None,
    ) -> Feature:  # fmt: skip
        """Return a feature of strings that :class:`nbnet.layers.StringLookup` prepares."""
        layer = layers.StringLookup(max_tokens, num_oov_indices, name=_layer_name("string_categorical", name))
        return Feature("string", layer, output_mode)

    @classmethod
    def string_hashed(cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None) -> Feature:
        """Return a feature of strings that :class:`nbnet.layers.Hashing` prepares."""
        return Feature("string", layers.Hashing(num_bins, name=_layer_name("string_hashed", name)), output_mode)

    @classmethod
    def integer_hashed(cls, num_bins: int, output_mode: str = "one_hot", name: str | None = None) -> Feature:
        """Return a feature of integers that :class:`nbnet.layers.Hashing` prepares."""
        return Feature("int32", layers.Hashing(num_bins, name=_layer_name("integer_hashed", name)), output_mode)

    # ---- learning ----

    def adapt(self, dataset: Any, verbose: int = 1) -> None:
        """Let the layers learn from a table.

        Parameters
        ----------
        dataset
            Dict of columns, a data frame, or batches of them: dicts, without targets.
        verbose
            Accepted as in Keras: nothing is shown.

        Raises
        ------
        ValueError
            If a column is missing.
        """
        columns = self._columns(_joined(dataset))
        for name, layer in self.preprocessors.items():
            if not hasattr(layer, "adapt") or getattr(layer, "_fixed", False):
                continue
            if isinstance(layer, layers.Normalization) and layer.input_mean is not None:
                continue
            if isinstance(layer, layers.Discretization):
                if layer.num_bins is not None:
                    column = columns[name]
                    layer.adapt([column[k : k + _ROWS] for k in range(0, len(column), _ROWS)])
            else:
                layer.adapt(columns[name])
        self._adapted, self._symbols = True, None

    def _columns(self, table: Any) -> dict[str, Any]:
        """Return the columns of the features as arrays (n, 1), or as they are if they have more axes."""
        missing = [name for name in self.features if name not in table]
        if missing:
            raise ValueError(f"data: expected the columns {list(self.features)}, missing is {missing[0]!r}")
        columns = {}
        for name in self.features:
            given = table[name]
            array = given.numpy() if isinstance(given, Tensor) else held_array(given, f"data[{name!r}]")
            columns[name] = array.reshape(-1, 1) if array.ndim < 2 else array
        return columns

    def _check_adapted(self) -> None:
        if self._adapted:
            return
        for layer in self.preprocessors.values():
            learned = getattr(layer, "vocabulary", None) or getattr(layer, "bin_boundaries", None)
            known = learned or getattr(layer, "input_mean", None) is not None
            if hasattr(layer, "adapt") and not known:
                raise ValueError(f"{self.name}: call adapt(data) before it is used")

    # ---- calls ----

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Encode a table: a dict of columns, a data frame, or one row as a dict of numbers and strings."""
        if len(args) != 1 or kwargs or has_symbols(args):
            return super().__call__(*args, **kwargs)
        self._check_adapted()
        if not isinstance(args[0], Mapping) and not hasattr(args[0], "columns"):
            raise ValueError(f"data: expected a dict of columns or a data frame, got {type(args[0]).__name__}")
        encoded = self._encoded(self._columns(args[0]))
        self.built = True
        if all(np.ndim(args[0][name]) == 0 for name in self.features):
            return {key: value[0] for key, value in encoded.items()} if isinstance(encoded, dict) else encoded[0]
        return encoded

    def _encoded(self, columns: Mapping[str, Any]) -> Any:
        prepared = {name: self.preprocessors[name](columns[name]) for name in self.features}
        crossed = {
            cross.name: self.crossers[cross.name]([prepared[name] for name in cross.feature_names])
            for cross in self.crosses
        }
        found: dict[str, Tensor] = {}
        for name, mode, layer in self._parts():
            value = prepared[name] if name in prepared else crossed[name]
            found[name] = value
            if mode == "one_hot":
                if value.dtype != INT:
                    raise ValueError(f'{name}: output_mode "one_hot" takes integers, got {value.dtype}')
                found[name] = as_vectors(value.numpy(), "multi_hot", _depth(name, layer), self.dtype)
        if self.output_mode == "dict":
            return found
        for name, value in found.items():
            _check_vector(name, value.dtype)
        return tensor(np.concatenate([value.numpy().astype(self.dtype) for value in found.values()], -1))

    def _parts(self) -> list[tuple[str, str, Any]]:
        """Return name, form and layer of features and crosses, in the order of their results."""
        found = [(name, self.features[name].output_mode, self.preprocessors[name]) for name in sorted(self.features)]
        crosses = sorted(self.crosses, key=lambda cross: cross.name)
        return found + [(cross.name, cross.output_mode, self.crossers[cross.name]) for cross in crosses]

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        self._check_adapted()
        shapes: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
        for name, mode, layer in self._parts():
            if mode == "one_hot":
                shapes[name] = (_depth(name, layer),), self.dtype
            elif name in self.features:
                known = getattr(layer, "vocabulary", None)
                usual: Any = "" if self.features[name].dtype == "string" else 0
                made = layer(np.array([[known[0] if known else usual]]))
                shapes[name] = made.shape[1:], made.dtype
            else:
                shapes[name] = (1,), INT
        if self.output_mode == "dict":
            return {name: Symbol((None, *shape), dtype, self.name) for name, (shape, dtype) in shapes.items()}
        for name, (_, dtype) in shapes.items():
            _check_vector(name, dtype)
        return Symbol((None, sum(shape[-1] for shape, _ in shapes.values())), self.dtype, self.name)

    def get_inputs(self) -> dict[str, Symbol]:
        """Inputs of a model that begins with this layer, by name of feature."""
        return self._known_symbols()[0]

    def get_encoded_features(self) -> Any:
        """The symbols of the encoded features, computed from :meth:`get_inputs`."""
        return self._known_symbols()[1]

    def _known_symbols(self) -> tuple[dict[str, Symbol], Any]:
        self._check_adapted()
        if self._symbols is None:
            inputs = {
                name: layers.Input((1,), dtype=feature.dtype, name=name) for name, feature in self.features.items()
            }
            self._symbols = inputs, self(inputs)
        return self._symbols

    # ---- files ----

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "features": {name: feature.get_config() for name, feature in self.features.items()},
            "output_mode": self.output_mode,
            "crosses": [cross.get_config() for cross in self.crosses],
            "crossing_dim": self.crossing_dim,
            "hashing_dim": self.hashing_dim,
            "num_discretization_bins": self.num_discretization_bins,
            "adapted": self._adapted,
        }

    def save(self, filepath: str | Path) -> None:
        """Write a file, ``.nbnet`` or ``.keras``, of a model of this layer alone, which encodes tables as it does: see
        :meth:`load`, and :func:`nbnet.saving.load_model`."""
        Model(*self._known_symbols(), name=f"{self.name}_model").save(filepath)

    @classmethod
    def load(cls, filepath: str | Path) -> Self:
        """Return the layer of a file that :meth:`save` wrote."""
        from nbnet.saving import load_model

        found = [layer for layer in load_model(filepath).layers if isinstance(layer, cls)]
        if not found:
            raise ValueError(f"filepath: {filepath} holds no {cls.__name__}")
        return found[0]


_KINDS = (
    "float", "float_rescaled", "float_normalized", "float_discretized", "integer_categorical", "string_categorical",
    "integer_hashed", "string_hashed",
)  # fmt: skip


def _depth(name: str, layer: Any) -> int:
    """Return the number of integers that a layer tells apart."""
    if hasattr(layer, "vocabulary_size"):
        return int(layer.vocabulary_size())
    depth = getattr(layer, "num_tokens", None) or getattr(layer, "num_bins", None)
    if depth is None and isinstance(layer, layers.Discretization):
        depth = len(layer.bin_boundaries or ()) + 1
    if depth is None:
        raise ValueError(f'{name}: the range of its integers is not known; use output_mode "int" instead of "one_hot"')
    return int(depth)


def _check_vector(name: str, dtype: np.dtype[Any]) -> None:
    if dtype.kind != "f":
        raise ValueError(f'{name}: its numbers are no vectors; use output_mode="dict", or "one_hot" for it')


def _layer_name(kind: str, name: str | None) -> str:
    return f"{name or unique_name(kind)}_preprocessor"


def _joined(dataset: Any) -> Any:
    """Return one table of a table, or of batches of them."""
    if isinstance(dataset, Mapping) or hasattr(dataset, "columns"):
        return dataset
    if not hasattr(dataset, "__iter__"):
        raise ValueError(f"dataset: expected a dict of columns, a data frame or batches, got {type(dataset).__name__}")
    batches = list(dataset)
    if not batches or not all(isinstance(batch, Mapping) for batch in batches):
        raise ValueError("dataset: expected batches that are dicts of columns, without targets")
    parts = {name: [held_array(b[name], f"dataset[{name!r}]") for b in batches] for name in batches[0]}
    return {name: np.concatenate([np.atleast_1d(part) for part in found]) for name, found in parts.items()}
