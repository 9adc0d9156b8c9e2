"""Models that predict: in evaluation mode, or in many passes with dropout at work."""

from __future__ import annotations

from typing import Any

import numpy as np

from nbnet import data
from nbnet.callbacks.callback import CallbackList
from nbnet.core.blas import single_thread
from nbnet.core.structure import map_structure
from nbnet.layers.dense import positive_integer
from nbnet.models import prediction, supply
from nbnet.models.intake import packed
from nbnet.models.learner import Learner
from nbnet.models.monte_carlo import MCPrediction
from nbnet.models.predictor import Predictor
from nbnet.models.sampling import Wish, first_step, sample
from nbnet.progress import Progress

#: Rows that are sampled at a time.
SAMPLED_ROWS = 512


class Predicting(Learner):
    """The part of a :class:`nbnet.Model` that predicts."""

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = 0,
        steps: int | None = None,
        callbacks: Any = None,
        *,
        mc_samples: int | None = None,
        return_std: bool = False,
    ) -> Any:
        """Outputs in evaluation mode, an array (n, ...), or a list or dict of them as the model returns.

        Parameters
        ----------
        x : array_like, (n, ...)
            For several inputs a list or dict, as for :meth:`fit`.
        batch_size : int
            Rows computed at a time; by default 256. Results may differ in the last bits with it.
        verbose : {0, "auto", 1, 2}
            See :class:`nbnet.progress.Progress`; silent by default.
        steps : int
            Batches to be predicted, by default all.
        callbacks : list of nbnet.callbacks.Callback
            Called at the beginning and the end; those that define a batch hook, around each batch.
        mc_samples : int
            Instead of evaluation mode: the mean of so many passes with dropout at work; see :meth:`predict_mc`.
        return_std : bool
            Whether to return ``(mean, std)`` of these passes.
        """
        if mc_samples is not None or return_std:
            rest = {"steps": steps, "callbacks": callbacks}
            return self._predict_sampled(x, mc_samples, return_std, batch_size, verbose, **rest)
        plain = verbose == 0 and batch_size is None and steps is None and callbacks is None
        if plain and (out := prediction.predict_again(self, x)) is not None:
            return out
        given = supply.for_prediction(self, x, batch_size, steps)
        if verbose == 0 and callbacks is None:
            with single_thread:
                return given.predictions()
        calls = CallbackList(callbacks, self)  # type: ignore[arg-type]
        with single_thread, Progress(verbose, None, given.length) as bar:
            bar.begin_epoch(0)
            calls.call("on_predict_begin", None)
            out = given.predictions(bar, calls)
            calls.call("on_predict_end", None)
            bar.end_epoch({})
        return out

    def predict_on_batch(self, x: Any) -> Any:
        """Outputs of one batch in evaluation mode."""
        return self.predict(x, supply.ONE_BATCH)

    def predictor(self, rows: int = 1) -> Predictor:
        """A function that predicts batches of so many rows with everything prepared: for one row a few microseconds.

        Parameters
        ----------
        rows
            Of each batch.

        Raises
        ------
        ValueError
            If the model is not one that can be prepared for: see :class:`nbnet.models.predictor.Predictor`.

        Examples
        --------
        >>> import nbnet as nb
        >>> model = nb.Sequential([nb.Input((3,)), nb.layers.Dense(2, kernel_initializer="ones")])
        >>> model.predictor()([[1.0, 2.0, 3.0]])
        array([[6., 6.]], dtype=float32)
        """
        return Predictor(self, rows)

    def predict_mc(
        self,
        x: Any,
        samples: int = 100,
        masks: str = "per_sample",
        quantiles: Any = None,
        return_samples: bool = False,
        batch_size: int | None = None,
        seed: int | None = None,
        verbose: int | str = 0,
    ) -> Any:
        """Outputs in many passes with dropout at work: their mean, spread and more.

        Layers that draw random numbers (Dropout and its like) do as in training, all others as in prediction. What lies
        before the first of them is computed once.

        Parameters
        ----------
        x : array_like, (n, ...)
            For several inputs a list or dict, as for :meth:`fit`.
        samples : int
            Passes.
        masks : {"per_sample", "shared"}
            Whether each row has a mask of its own in each pass, or all rows share one: each pass then is one
            sub-network, whose dropped units are not multiplied at all. Either way a mask is a function of the seed, the
            pass and the row, whatever the batch size and the number of threads.
        quantiles : float or sequence of float
            In [0, 1]; which to find of the samples.
        return_samples : bool
            Whether to keep all samples.
        batch_size : int
            Rows computed at a time; by default 512. Results may differ in the last bits with it.
        seed : int
            What the masks depend on, together with the layers' own seeds; by default each call draws others.
        verbose : {0, "auto", 1, 2}
            See :class:`nbnet.progress.Progress`; silent by default.

        Returns
        -------
        :class:`nbnet.models.MCPrediction`, or a list or dict of them as the model returns.

        Raises
        ------
        ValueError
            If no layer draws random numbers, masks are to be shared and a layer cannot, or an argument is out of
            range.
        TypeError
            If x comes in batches.

        References
        ----------
        Y. Gal, Z. Ghahramani: Dropout as a Bayesian approximation: representing model uncertainty in deep learning.
        ICML 2016.

        Examples
        --------
        >>> import numpy as np
        >>> import nbnet as nb
        >>> nb.set_random_seed(0)
        >>> model = nb.Sequential(
        ...     [nb.Input((2,)), nb.layers.Dense(16, "relu"), nb.layers.Dropout(0.5), nb.layers.Dense(1)]
        ... )
        >>> x = np.array([[0.1, 0.0], [10.0, 0.0]])
        >>> found = model.predict_mc(x, samples=200, quantiles=[0.05, 0.95], seed=1)
        >>> found.mean.shape, found.quantiles.shape
        ((2, 1), (2, 2, 1))
        >>> bool(found.std[1, 0] > 10 * found.std[0, 0])
        True
        """
        wish = _wish(samples, masks, quantiles, return_samples)
        size = SAMPLED_ROWS if batch_size is None else positive_integer(batch_size, "batch_size")
        step = first_step(seed)
        if data.is_stream(x):
            raise TypeError(f"x: predict_mc wants arrays, got a {type(x).__name__}; call it for each batch")
        rows = self._input_rows(x)
        with single_thread, Progress(verbose, None, -(-len(rows) // size)) as bar:
            bar.begin_epoch(0)
            template, found = sample(self, rows, size, wish, step, bar)
            bar.end_epoch({})
        made = [
            MCPrediction.of(
                wish.samples,
                one.mean,
                one.squares,
                one.entropy,
                self.compute_dtype,
                samples=one.samples,
                quantiles=one.quantiles,
            )
            for one in found
        ]
        return packed(template, made)

    def _predict_sampled(
        self, x: Any, samples: Any, return_std: bool, batch_size: Any, verbose: Any, **rest: Any
    ) -> Any:
        """What ``predict`` gives when it is told to sample."""
        if samples is None:
            raise ValueError("return_std: wants mc_samples, the number of passes with dropout at work")
        if given := [name for name, value in rest.items() if value is not None]:
            raise ValueError(f"{given[0]}: goes not together with mc_samples")
        samples = positive_integer(samples, "mc_samples")
        found = self.predict_mc(x, samples, batch_size=batch_size, verbose=verbose)
        mean = map_structure(lambda one: one.mean, found)
        return (mean, map_structure(lambda one: one.std, found)) if return_std else mean


def _wish(samples: Any, masks: Any, quantiles: Any, keep: Any) -> Wish:
    count = positive_integer(samples, "samples")
    if masks not in ("per_sample", "shared"):
        raise ValueError(f"masks: wants 'per_sample' or 'shared', got {masks!r}")
    if quantiles is not None:
        wanted, quantiles = quantiles, np.asarray(quantiles)
        if quantiles.dtype.kind not in "fiu":
            raise TypeError(f"quantiles: wants numbers in [0, 1], got {wanted!r}")
        quantiles = quantiles.astype(np.float64)
        if quantiles.ndim > 1 or not ((quantiles >= 0) & (quantiles <= 1)).all():
            raise ValueError(f"quantiles: wants numbers in [0, 1], got {quantiles.tolist()}")
    return Wish(count, masks, quantiles, bool(keep))
