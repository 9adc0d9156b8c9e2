"""Grid search whose fits run side by side in threads of this process."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from multiprocessing.pool import ThreadPool
from typing import Any, Self

from joblib import parallel_config
from joblib.parallel import ThreadingBackend
from sklearn.model_selection import GridSearchCV

from nbnet.base.cpu import processors, set_limit
from nbnet.estimators.base import NeuralEstimator


class MultiFitSearchCV(GridSearchCV):
    """scikit-learn's ``GridSearchCV``, whose fits run side by side in threads of this process.

    A network's training releases the interpreter lock, so threads are as fast as processes, without their start and
    their copies of the data. The fits share the processors: one each, if there are as many fits as processors. Ctrl-C
    ends running fits within a tenth of a second.

    Parameters, attributes and methods are those of :class:`sklearn.model_selection.GridSearchCV`, except ``n_jobs``.
    Estimators other than nbnet's (and pipelines and meta-estimators around them) are searched as there.

    Parameters
    ----------
    estimator
        An estimator of :mod:`nbnet.estimators`, or a meta-estimator around it.
    param_grid : dict or list of dicts
        The values to try for each parameter.
    n_jobs : int, optional
        Fits at a time; by default one for each processor.
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

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Fit with all parameters on all folds, then with the best ones on all data.

        Parameters, results and errors are those of :meth:`sklearn.model_selection.GridSearchCV.fit`.
        """
        ours = _is_network(self.estimator)
        with parallel_config(backend=_Threads(), n_jobs=processors()) if ours else nullcontext():
            super().fit(X, y, **params)
        return self


class _Threads(ThreadingBackend):
    """joblib's threads, which share the processors and can be stopped."""

    _pool: ThreadPool | None
    _stop: threading.Event

    def _get_pool(self) -> ThreadPool:
        if self._pool is None:
            self._stop = threading.Event()
            each = max(1, processors() // self._n_jobs)
            self._pool = ThreadPool(self._n_jobs, initializer=set_limit, initargs=(each, self._stop))
        return self._pool

    def terminate(self) -> None:
        """Stop the running fits."""
        if self._pool is not None:
            self._stop.set()
        super().terminate()


def _is_network(estimator: Any) -> bool:
    """True if an estimator is one of nbnet's, or a meta-estimator around one."""
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
