"""``scikeras.wrappers``: estimators of a model, or of a function that builds one; see ``wrappers.py``."""

from __future__ import annotations

from typing import Any

from nbnet.as_keras import wrappers


class KerasClassifier(wrappers.KerasClassifier):
    """A classifier whose model is compiled here if it is not yet."""

    def __init__(self, model: Any = None, **sk_params: Any) -> None:
        super().__init__(model=model, **sk_params)


class KerasRegressor(wrappers.KerasRegressor):
    """A regressor whose model is compiled here if it is not yet."""

    def __init__(self, model: Any = None, **sk_params: Any) -> None:
        super().__init__(model=model, **sk_params)
