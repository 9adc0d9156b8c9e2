"""Search for the best parameters, with fits side by side in this process."""

from __future__ import annotations

import threading
from multiprocessing.pool import ThreadPool
from typing import Any

from joblib import parallel_config
from joblib.parallel import ThreadingBackend
from sklearn.model_selection import GridSearchCV

from nbnet.core.processors import processors, restrict
from nbnet.estimators.base import NeuralEstimator


class MultiFitSearchCV(GridSearchCV):  # type: ignore[misc]
    """scikit-learn's ``GridSearchCV``, whose fits run side by side in threads of this process.

    A network's training leaves the interpreter free, so threads serve it as processes would, without starting any and
    without copies of the data. Each fit has the processors that the others leave it: one, where there are as many fits
    as processors. Ctrl-C ends those that run within a tenth of a second.

    Parameters, attributes and methods are those of :class:`sklearn.model_selection.GridSearchCV`, but for ``n_jobs``.
    Estimators other than nbnet's (or a pipeline, or another meta-estimator, around one) are searched as there.

    Parameters
    ----------
    estimator
        An estimator of :mod:`nbnet.estimators`, or one around it.
    param_grid : dict or list of dicts
        The values to try for each parameter.
    n_jobs : int, optional
        Fits at a time; by default as many as there are processors.
    scoring, refit, cv, verbose, pre_dispatch, error_score, return_train_score
        See :class:`sklearn.model_selection.GridSearchCV`.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from nbnet.estimators import MLPClassifier, MultiFitSearchCV
    >>> X, y = make_moons(200, noise=0.1, random_state=0)
    >>> net = MLPClassifier((16,), learning_rate_init=0.1, tol=0.01, random_state=0)
    >>> search = MultiFitSearchCV(net, {"activation": ["identity", "relu"]}, cv=3).fit(X, y)
    >>> search.best_params_, search.n_splits_
    ({'activation': 'relu'}, 3)
    """

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit with all parameters on all folds, then with the best ones on everything.

        Parameters, results and errors are those of :meth:`sklearn.model_selection.GridSearchCV.fit`.
        """
        if not _is_network(self.estimator):
            return super().fit(X, y, **params)
        with parallel_config(backend=_Threads(), n_jobs=processors()):
            return super().fit(X, y, **params)


class _Threads(ThreadingBackend):  # type: ignore[misc]
    """joblib's threads, which share the processors out and stop when they are told to."""

    _pool: ThreadPool | None
    _stop: threading.Event

    def _get_pool(self) -> ThreadPool:
        if self._pool is None:
            self._stop = threading.Event()
            each = max(1, processors() // self._n_jobs)
            self._pool = ThreadPool(self._n_jobs, initializer=restrict, initargs=(each, self._stop))
        return self._pool

    def terminate(self) -> None:
        """Nobody waits for what still runs."""
        if self._pool is not None:
            self._stop.set()
        super().terminate()


def _is_network(estimator: Any) -> bool:
    """Whether an estimator is one of nbnet's, or is about one."""
    while not isinstance(estimator, NeuralEstimator):
        inner = getattr(estimator, "steps", None)
        if inner:
            estimator = inner[-1][1]
            continue
        names = [name for name in ("estimator", "regressor", "classifier") if hasattr(estimator, name)]
        if not names:
            return False
        estimator = getattr(estimator, names[0])
    return True
