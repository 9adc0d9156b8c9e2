"""A layer of any network as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from nbnet.base.array_memory import settled_parts
from nbnet.estimators import net
from nbnet.estimators.architecture import autoencoder
from nbnet.estimators.base import Array, documented, sample_weights
from nbnet.estimators.model_factory import feed, output_width
from nbnet.estimators.routing import accepts_routed
from nbnet.estimators.targets import Classification, Labels, Regression, Task
from nbnet.estimators.training import with_callbacks
from nbnet.layers.input import InputLayer
from nbnet.models.model import Model


@documented(model=net.MODEL, parameters=net.PARAMETERS, attributes=net.ATTRIBUTES)
class NetTransformer(TransformerMixin, net.Net):
    """The outputs of a layer of any network as features.

    Parameters
    ----------
    %(model)s
        The default is :func:`nbnet.estimators.architecture.autoencoder`, whose narrow layer has 16 units
        (``model__code``).
    layer : str or int
        Name or index of the layer; by default the last but one.
    supervised : bool
        If True, the network learns the target (labels or numbers); otherwise the features themselves, as autoencoders
        do, and y is ignored.
    prefit : bool
        If True, ``model`` is already trained: ``fit`` only checks the number of features and uses ``model`` as it is.
    %(parameters)s

    Attributes
    ----------
    layer_ : str
        Name of the layer.
    %(attributes)s

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.estimators import NetTransformer
    >>> X = np.random.default_rng(0).normal(size=(100, 6))
    >>> net = NetTransformer(model__code=2, epochs=3, random_state=0).fit(X)
    >>> net.transform(X).shape, net.get_feature_names_out()
    ((100, 2), array(['code0', 'code1'], dtype=object))
    """

    _default_model: ClassVar[Callable[..., Model]] = staticmethod(autoencoder)

    @accepts_routed
    def __init__(
        self, model: Any = None, layer: str | int | None = None, *, supervised: bool = False, prefit: bool = False,
        optimizer: Any = "auto", loss: Any = "auto", metrics: Any = None, batch_size: int | None = 32,
        epochs: int = 50, validation_split: float = 0.0, callbacks: Any = None, random_state: Any = None,
        warm_start: bool = False, verbose: int | str = 0, dtype: Any = None, **routed: Any,
    ) -> None:  # fmt: skip
        self._set_parameters(locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = bool(self.supervised) and not self.prefit
        tags.transformer_tags.preserves_dtype = []
        return tags

    @with_callbacks
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train a new model; with ``warm_start`` continue with that of the last fit. A ``prefit`` model is not trained.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix, (n, features) or (n, ...)
        y : array_like, (n,) or (n, outputs)
            Used if ``supervised`` is True.
        sample_weight : array_like, (n,)

        Returns
        -------
        The estimator itself.

        Raises
        ------
        ValueError, TypeError
            If data or parameters are not valid, or the model has no such layer.
        """
        warm = self.warm_start and hasattr(self, "model_")
        if self.prefit:
            return self._adopt(X)
        if self.supervised:
            X, y = self._checked(X, y, reset=not warm, multi_output=True, **self._checks)
        else:
            X = validate_data(self, settled_parts(X, "X"), reset=not warm, accept_sparse="csr", **self._checks)
            y = None
        task = _task(X, y)
        weights = sample_weights(X, y, sample_weight, None, np.float64)
        if warm:
            self._resume()
        else:
            self._begin(X, y, task)
        self._train(X, y, weights)
        self.layer_, self._network = self._cut(self.model_)
        return self

    def _fitted_attributes(self) -> dict[str, Any]:
        attributes = super()._fitted_attributes()
        layer, network = self._cut(attributes["model_"])
        return attributes | {"layer_": layer, "_network": network}

    def _adopt(self, X: Any) -> Self:
        """Use the model as it is."""
        if not isinstance(self.model, Model):
            raise ValueError(f"model: expected a trained model with prefit=True, got {self.model!r}")
        X = validate_data(self, settled_parts(X, "X"), reset=True, accept_sparse="csr", **self._checks)
        output_width(self.model, feed(self.model, X[:1]), flat=True)
        self.model_ = self.model
        self.layer_, self._network = self._cut(self.model)
        return self

    def _width(self, model: Model, X: Any) -> int:
        return output_width(model, feed(model, X[:1]), flat=not self.supervised)

    def _target(self, X: Any, y: Any) -> Array:
        if self.supervised:
            return super()._target(X, y)
        dense: Array = X.toarray() if hasattr(X, "toarray") else X
        shape = self.model_.output_shape
        return dense.reshape(len(dense), *shape[1:])

    def _cut(self, model: Model) -> tuple[str, Model]:
        """Return the layer's name, and a model that ends with it."""
        layers = [layer for layer in model.layers if not isinstance(layer, InputLayer)]
        if isinstance(self.layer, str):
            found = model.get_layer(self.layer)
        else:
            number = max(-2, -len(layers)) if self.layer is None else self.layer
            if not -len(layers) <= number < len(layers):
                raise ValueError(
                    f"layer: expected an index into the {len(layers)} layers of {model.name}, got {self.layer}"
                )
            found = layers[number]
        try:
            source, output = model.input, found.output
        except (AttributeError, ValueError) as error:
            raise ValueError(
                f"layer: the output of {found.name!r} cannot be taken out of {model.name}; use a Sequential or "
                f"a Model(inputs, outputs): {error}"
            ) from None
        return found.name, Model(source, output)

    @property
    def _n_features_out(self) -> int:
        return output_width(self._network, None, flat=True)

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Return the names of the output features: that of the layer, numbered.

        Parameters
        ----------
        input_features
            Ignored.
        """
        check_is_fitted(self)
        return np.array([f"{self.layer_}{k}" for k in range(self._n_features_out)], object)

    def transform(self, X: Any) -> Array:
        """Compute the outputs of the layer, without dropout.

        Parameters
        ----------
        X : array_like, data frame or sparse matrix, (n, features) or (n, ...)

        Returns
        -------
        ndarray, (n, units)
            An output of several axes is flattened.
        """
        check_is_fitted(self)
        outputs = self._compute(self._network, self._features(X))
        return outputs.reshape(len(outputs), -1)


def _task(X: Any, y: Any) -> Task:
    """Return the task of the network."""
    if y is None:
        return Regression(int(np.prod(X.shape[1:], dtype=int)), False)
    if type_of_target(y, input_name="y").startswith("continuous"):
        return Regression.of(y)
    return Classification(Labels.of(y))
