"""A layer of any network as a scikit-learn transformer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import TransformerMixin
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from nbnet.estimators import building
from nbnet.estimators.base import sample_weights
from nbnet.estimators.labels import Labels
from nbnet.estimators.net import Net
from nbnet.estimators.networks import autoencoder
from nbnet.estimators.reporting import with_callbacks
from nbnet.estimators.routing import without_routed
from nbnet.estimators.tasks import Classification, Regression, Task
from nbnet.layers.input import InputLayer
from nbnet.models.model import Model

Array = NDArray[Any]


class NetTransformer(TransformerMixin, Net):  # type: ignore[misc]
    """The outputs of a layer of a network of yours as features.

    Parameters
    ----------
    model
        As for :class:`NetClassifier`; by default :func:`nbnet.estimators.networks.autoencoder`, whose narrow layer has
        16 units (``model__code``).
    layer : str or int
        Name or number of the layer; by default the last but one.
    supervised
        What the network learns: the target (labels, or numbers), or else the features themselves, as autoencoders do;
        then y is not looked at.
    prefit
        Whether ``model`` is trained already: ``fit`` only looks at the number of features, and ``model`` is used as it
        is.
    optimizer, loss, metrics, batch_size, epochs, validation_split, callbacks, random_state, warm_start, verbose, dtype
        As for :class:`NetClassifier`.
    **routed
        As for :class:`NetClassifier`.

    Attributes
    ----------
    model_ : nbnet.Model
        The trained model.
    layer_ : str
        Name of the layer.
    history_ : nbnet.History
        Losses and metrics of all its epochs.
    n_iter_ : int
        Epochs it was trained for.
    callbacks_ : list of nbnet.callbacks.Callback
        The copies that saw the last fit.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of str
        Their names, if X had any.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.estimators import NetTransformer
    >>> X = np.random.default_rng(0).normal(size=(100, 6))
    >>> found = NetTransformer(model__code=2, epochs=3, random_state=0).fit(X)
    >>> found.transform(X).shape, found.get_feature_names_out()
    ((100, 2), array(['code0', 'code1'], dtype=object))
    """

    _usual: ClassVar[Callable[..., Model]] = staticmethod(autoencoder)

    @without_routed
    def __init__(
        self,
        model: Any = None,
        layer: str | int | None = None,
        *,
        supervised: bool = False,
        prefit: bool = False,
        optimizer: Any = "auto",
        loss: Any = "auto",
        metrics: Any = None,
        batch_size: int | None = 32,
        epochs: int = 50,
        validation_split: float = 0.0,
        callbacks: Any = None,
        random_state: Any = None,
        warm_start: bool = False,
        verbose: int | str = 0,
        dtype: Any = None,
        **routed: Any,
    ) -> None:
        self._keep(locals())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = bool(self.supervised) and not self.prefit
        tags.transformer_tags.preserves_dtype = []
        return tags

    @with_callbacks  # type: ignore[untyped-decorator]
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> NetTransformer:
        """Train a new model; with ``warm_start`` go on with that of the last fit. A ``prefit`` model stays as it is.

        Parameters
        ----------
        X : array_like, (n, features) or (n, ...)
            Sparse matrices and data frames, too.
        y : array_like, (n,) or (n, outputs)
            Looked at if it is to be learnt.
        sample_weight : array_like, (n,)

        Raises
        ------
        ValueError, TypeError
            If data or parameters do not fit, or the model has no such layer.
        """
        warm = self.warm_start and hasattr(self, "model_")
        if self.prefit:
            return self._adopt(X)
        if self.supervised:
            X, y = self._checked(X, y, reset=not warm, multi_output=True, **self._intake)
        else:
            X, y = validate_data(self, X, reset=not warm, accept_sparse="csr", **self._intake), None
        task = _task(X, y)
        weights = sample_weights(X, y, sample_weight, None, np.float64)
        if warm:
            self._go_on()
        else:
            self._begin(X, y, task)
        self._train(X, y, weights)
        self.layer_, self._network = self._cut(self.model_)
        return self

    def _snapshot(self) -> dict[str, Any]:
        found = super()._snapshot()
        layer, network = self._cut(found["model_"])
        return found | {"layer_": layer, "_network": network}

    def _adopt(self, X: Any) -> NetTransformer:
        """Use the model as it is."""
        if not isinstance(self.model, Model):
            raise ValueError(f"model: with prefit=True wants a model that is trained, got {self.model!r}")
        X = validate_data(self, X, reset=True, accept_sparse="csr", **self._intake)
        building.output_width(self.model, building.feed(self.model, X[:1]), flat=True)
        self.model_ = self.model
        self.layer_, self._network = self._cut(self.model)
        return self

    def _width(self, model: Model, X: Any) -> int:
        return building.output_width(model, building.feed(model, X[:1]), flat=not self.supervised)

    def _target(self, X: Any, y: Any) -> Array:
        if self.supervised:
            return super()._target(X, y)
        dense: Array = X.toarray() if hasattr(X, "toarray") else X
        shape = self.model_.output_shape
        return dense.reshape(len(dense), *shape[1:])

    def _cut(self, model: Model) -> tuple[str, Model]:
        """The layer's name, and a model that ends with it."""
        layers = [layer for layer in model.layers if not isinstance(layer, InputLayer)]
        if isinstance(self.layer, str):
            found = model.get_layer(self.layer)
        else:
            number = max(-2, -len(layers)) if self.layer is None else self.layer
            if not -len(layers) <= number < len(layers):
                raise ValueError(f"layer: {model.name} has {len(layers)} layers, got {self.layer}")
            found = layers[number]
        try:
            source, output = model.input, found.output
        except ValueError as error:
            raise ValueError(
                f"layer: the output of {found.name!r} cannot be taken out of {model.name}; wants a Sequential or "
                f"a Model(inputs, outputs): {error}"
            ) from None
        return found.name, Model(source, output)

    @property
    def _n_features_out(self) -> int:
        return building.output_width(self._network, None, flat=True)

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """Names of the features that come out: that of the layer, numbered.

        Parameters
        ----------
        input_features
            Accepted as scikit-learn wants it.
        """
        check_is_fitted(self)
        return np.array([f"{self.layer_}{k}" for k in range(self._n_features_out)], object)

    def transform(self, X: Any) -> Array:
        """The outputs of the layer, dropout not at work.

        Parameters
        ----------
        X : array_like, (n, features) or (n, ...)

        Returns
        -------
        ndarray, (n, units)
            An output of several axes becomes one row.
        """
        check_is_fitted(self)
        outputs = self._computed(self._network, self._features(X))
        return outputs.reshape(len(outputs), -1)


def _task(X: Any, y: Any) -> Task:
    """What the network is to learn."""
    if y is None:
        return Regression(int(np.prod(X.shape[1:], dtype=int)), False)
    if type_of_target(y, input_name="y").startswith("continuous"):
        return Regression.of(y)
    return Classification(Labels.of(y))
