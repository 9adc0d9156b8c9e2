"""Training, evaluation and prediction as users call them: signatures and documentation; the work is done in train/."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

from numpy.typing import NDArray

from nbnet import data, metrics, optimizers
from nbnet.base.tree import map_structure, restructure
from nbnet.base.validation import check_bool, check_int
from nbnet.callbacks.callback import CallbackList, History
from nbnet.callbacks.progress import Progress, level_of
from nbnet.engine.gemm.blas import SingleThread
from nbnet.layers.variable import HasWeights
from nbnet.models.monte_carlo import MCPrediction
from nbnet.models.steps import Steps
from nbnet.optimizers import Optimizer
from nbnet.train import fit as training
from nbnet.train.data_source import ONE_BATCH, evaluation_source, prediction_source
from nbnet.train.fit import refuse_in_training, training_lock
from nbnet.train.inputs import input_rows, signature_of
from nbnet.train.mc_predict import MCRequest, first_step, sample
from nbnet.train.objective import Objective
from nbnet.train.predict import Predictor, predict_again, predict_source
from nbnet.train.program_report import row_shapes
from nbnet.train.python_runner import CompiledMetrics
from nbnet.train.trainable import TrainingState, check_compiled, default_step

#: Threads that a step may be shared out to.
MOST_SLICES = 256
#: Rows that are sampled at a time.
SAMPLED_ROWS = 512


class PreparedFit(NamedTuple):
    """A training whose arguments are checked, its callbacks, progress bar, and history."""

    fit: training.Fit
    calls: CallbackList
    bar: Progress | None
    history: History


class Trainer(Steps):
    """The part of a :class:`nbnet.Model` that trains, evaluates and predicts."""

    #: The history of the last ``fit``.
    history: History
    #: False if :meth:`compile` was told to run eagerly, or not to compile; every epoch is compiled unless it runs
    #: eagerly.
    jit_compile: bool = True

    def __init__(self) -> None:
        self._optimizer: Optimizer = None  # type: ignore[assignment]
        #: Set by a callback to end training after the epoch, or the batch, it is called in.
        self.stop_training = False
        #: Set by a callback to end an evaluation, or a prediction, after the batch it is called in.
        self.stop_evaluating = self.stop_predicting = False
        self._train_state = TrainingState()
        self._loss_tracker = metrics.Mean("loss")
        self._compiled_metrics: CompiledMetrics | None = None

    def _set_optimizer(self, value: Optimizer) -> None:
        refuse_in_training(self, "optimizer")
        self._optimizer = value

    if TYPE_CHECKING:
        optimizer: Optimizer
    else:
        optimizer = property(
            attrgetter("_optimizer"),
            _set_optimizer,
            doc="The optimizer; None until :meth:`compile` is called. May be replaced, but not in a training.",
        )

    @property
    def compiled(self) -> bool:
        """True after :meth:`compile`."""
        return self._optimizer is not None

    @property
    def steps_per_execution(self) -> int:
        """Number of batches for which hooks of batches are called once."""
        return self._train_state.steps_per_execution

    @property
    def run_eagerly(self) -> bool:
        """True if steps run in Python, as :meth:`compile` was told; may be assigned."""
        return self._train_state.eager

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        self._train_state.eager = check_bool(value, "run_eagerly")
        self._changed()

    @property
    def loss(self) -> Any:
        """The loss that :meth:`compile` was given, names resolved to losses."""
        objective = self._train_state.objective
        return vars(self).get("_own_loss") if objective is None else objective.loss

    @loss.setter
    def loss(self, value: Any) -> None:
        # A subclass may keep something of its own under this name, as in Keras.
        vars(self)["_own_loss"] = value

    def compile(
        self,
        optimizer: str | Optimizer | Mapping[str, Any] = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
        *,
        slices: int | None = None,
    ) -> None:
        """Configure training.

        Parameters
        ----------
        optimizer
            Name or :class:`nbnet.optimizers.Optimizer`.
        loss
            Name or :class:`nbnet.losses.Loss`; for several outputs a list of them, or a dict by name of output. An
            output whose loss is None is not trained.
        loss_weights
            Factors of the losses of outputs in their sum; a list, or a dict by name.
        metrics
            Names, metrics or losses to watch; ``"accuracy"`` adapts to the loss. For several outputs a list with an
            entry (one, or a list) for each, or a dict by name.
        weighted_metrics
            The same, but sample weights and class weights count.
        run_eagerly
            If True, :meth:`train_step` runs as Python, on a tape, for every batch: for debugging.
        steps_per_execution
            Number of batches for which hooks of batches are called once.
        jit_compile
            If False, steps of a subclass run as Python; all others are always compiled.
        auto_scale_loss
            Accepted as in Keras; nothing computes in float16.
        slices
            Parts of a batch that as many threads compute, up to 256; a batch of fewer rows has as many as rows, and one
            whose rows depend on each other is not cut. By default as many as pay on the processors there are. Results
            are the same bit by bit, on the same machine, for the same number of slices; dropout masks for any.

        Raises
        ------
        ValueError, TypeError
            If an optimizer, loss or metric is unknown, or slices are out of range.
        RuntimeError
            If the model is being trained, in another thread or by the ``fit`` that a callback interrupts.
        """
        refuse_in_training(self, "compile")
        cls: Any = type(self)
        own = cls.trainable_variables is not HasWeights.trainable_variables
        if own and cls.trainable_weights is HasWeights.trainable_weights:
            raise NotImplementedError(f"{cls.__name__}.trainable_variables: override trainable_weights instead")
        resolved = optimizers.as_optimizer(optimizer)
        objective = Objective.of(loss, loss_weights, metrics, weighted_metrics)
        count = None if slices is None else check_int(slices, "slices")
        steps = check_int(steps_per_execution, "steps_per_execution")
        if count is not None and count > MOST_SLICES:
            raise ValueError(f"slices: expected {MOST_SLICES} at most, got {count}")
        self.optimizer, state = resolved, self._train_state
        state.position.set_aside(self.built)
        state.objective, state.eager, state.slices = objective, bool(run_eagerly), count
        state.steps_per_execution = steps
        self.jit_compile = not run_eagerly if jit_compile == "auto" else bool(jit_compile)
        watched = metrics is not None or weighted_metrics is not None
        self._compiled_metrics = CompiledMetrics(self) if watched else None
        self._changed()
        if (shapes := row_shapes(self)) is not None:
            # What fit has to know of the outputs, found before it is called.
            signature_of(self, shapes)

    # ---- training ----

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
        record_masks: int = 0,
        on_nan: str = "warn",
    ) -> History:
        """Train for a number of epochs.

        Parameters
        ----------
        x : array_like, (n, ...)
            Inputs of any real dtype; bytes stay bytes until a batch of them is gathered. For several inputs a list in
            their order, or a dict by name. Data frames, and sparse matrices, which stay sparse until a batch of them
            is gathered. Or batches: a :class:`nbnet.utils.PyDataset`, a generator of ``(x, y)`` or
            ``(x, y, sample_weight)``, a loader.
        y : array_like
            Targets: shaped like the output, or class labels (n,) for sparse losses. For several outputs a list or a
            dict, with None for an output without loss and metrics.
        batch_size : int
            Rows of a step; the last batch may be shorter. By default 32, or with steps_per_epoch as many as all rows
            take in so many steps. Data that come in batches keep theirs.
        epochs, initial_epoch : int
            Train from epoch ``initial_epoch`` up to ``epochs``. If ``initial_epoch`` epochs were trained before, in
            this process or the one that saved the model, the training continues as if it had not ended.
        verbose : {"auto", 0, 1, 2}
            See :class:`nbnet.callbacks.progress.Progress`.
        callbacks : list of nbnet.callbacks.Callback
            Called during training; one that defines a batch hook makes every batch a call of its own.
        validation_split : float
            Share of the last rows to hold out.
        validation_data : tuple
            ``(x, y)`` or ``(x, y, sample_weight)``, or batches.
        shuffle : bool
            If True, each epoch sees the rows, or a dataset's batches, in a new order.
        class_weight : dict
            Weight of each class; multiplied with the sample weights. For models of one output.
        sample_weight : array_like, (n,)
            Weight of each row in the loss; for several outputs one for all, or a list or dict.
        steps_per_epoch, validation_steps : int
            Batches of an epoch, and of a validation. An epoch continues where the last one ended, a validation begins
            anew. By default all there are; a generator without end needs them.
        validation_batch_size : int
            By default ``batch_size``.
        validation_freq : int or list of int
            Validate every n epochs, or after the epochs listed, counted from 1.
        record_masks : int
            Number of last steps whose dropout masks to keep in ``history.masks``.
        on_nan : {"warn", "raise", "ignore"}
            What to do if the loss, or a weight, is infinite or not a number at the end of an epoch. ``"warn"``: a
            RuntimeWarning, once a fit, names the epoch, the step and the layer where the first such value appeared, and
            training goes on. (With :class:`nbnet.callbacks.TerminateOnNaN` it is printed.) ``"raise"``: an error with
            the same text, before callbacks see the end of the epoch; weights, optimizer and position are as before that
            step. Batches of a stream cannot be read again: the text names the first batch with such a loss, and the
            weights are those of some batch before it. With ``"warn"``, a training of fewer than 1,000 steps is not run
            again either if weights and optimizer state take more than 16 MB, as a copy of them would slow it down: the
            text names the weights that are bad in the end. Steps in Python leave the weights as they are. A metric or a
            validation that alone is not finite is no more than a warning.

        Returns
        -------
        History

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit the model; before anything is trained, unless it comes in batches.
        RuntimeError
            If the model is being trained already, in another thread or by the ``fit`` that a callback or signal handler
            interrupts.
        FloatingPointError
            With ``on_nan="raise"``, if the loss or a weight is not finite.
        """
        prepared = self._prepare_fit(
            x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data, shuffle, class_weight,
            sample_weight, initial_epoch, steps_per_epoch, validation_steps, validation_batch_size, validation_freq,
            record_masks, on_nan,
        )  # fmt: skip
        with training_lock(self):
            prepared.fit.run(prepared.calls, prepared.bar, prepared.history)
        return prepared.history

    def _prepare_fit(
        self, x: Any, y: Any, batch_size: Any, epochs: Any, verbose: Any, callbacks: Any, *arguments: Any
    ) -> PreparedFit:
        fit = training.Fit(self, x, y, batch_size, epochs, *arguments)
        bar = None if verbose == 0 else Progress(verbose, fit.epochs, fit.source.length)
        params = {"verbose": 0 if bar is None else bar.verbose, "epochs": fit.epochs, "steps": fit.source.length}
        calls = self._callback_list(callbacks, params)
        # As in Keras, the user's own, the last one of several, is the history of the training.
        own = [callback for callback in calls.callbacks if isinstance(callback, History)]
        return PreparedFit(fit, calls, bar, own[-1] if own else History(params))

    def _callback_list(self, callbacks: Any, params: Mapping[str, Any]) -> CallbackList:
        if isinstance(callbacks, CallbackList):
            return callbacks
        model: Any = self  # A Model, which has what callbacks use.
        return CallbackList(callbacks, model, **params)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Update the weights once, from one batch; return its loss (and metrics) before the update."""
        return _returned(training.train_on_batch(self, x, y, sample_weight, class_weight), return_dict)

    # ---- evaluation ----

    # fmt: off
    @overload
    def evaluate(
        self, x: Any = ..., y: Any = ..., batch_size: int | None = ..., verbose: int | str = ...,
        sample_weight: Any = ..., steps: int | None = ..., callbacks: Any = ..., *, return_dict: Literal[True],
    ) -> dict[str, Any]: ...
    @overload
    def evaluate(
        self, x: Any = ..., y: Any = ..., batch_size: int | None = ..., verbose: int | str = ...,
        sample_weight: Any = ..., steps: int | None = ..., callbacks: Any = ..., return_dict: bool = ...,
    ) -> Any: ...  # a float, or a list of floats
    # fmt: on
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Compute loss and metrics in evaluation mode.

        Parameters
        ----------
        x, y, sample_weight
            As for :meth:`fit`.
        batch_size : int
            Rows of a batch, by default 32.
        verbose : {"auto", 0, 1, 2}
            See :class:`nbnet.callbacks.progress.Progress`.
        steps : int
            Number of batches to evaluate, by default all.
        callbacks : list of nbnet.callbacks.Callback
            Called at the beginning and the end; those that define a batch hook, around each batch.

        Returns
        -------
        The loss; a list of the loss, the losses of outputs if several are trained, and metrics; a dict if
        ``return_dict``.
        """
        check_compiled(self)
        source = evaluation_source(self, (x, y, sample_weight), batch_size, steps)
        calls = self._callback_list(callbacks, {})
        return _returned(training.evaluate(self, source, calls, Progress(verbose, None, source.length)), return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Compute loss (and metrics) of one batch in evaluation mode."""
        return Trainer.evaluate(self, x, y, ONE_BATCH, 0, sample_weight=sample_weight, return_dict=return_dict)

    # ---- prediction ----

    # fmt: off
    @overload
    def predict(
        self, x: Any, batch_size: int | None = ..., verbose: int | str = ..., steps: int | None = ...,
        callbacks: Any = ..., *, mc_samples: int | None = ..., return_std: Literal[False] = ...,
    ) -> NDArray[Any]: ...
    @overload
    def predict(
        self, x: Any, batch_size: int | None = ..., verbose: int | str = ..., steps: int | None = ...,
        callbacks: Any = ..., *, mc_samples: int | None = ..., return_std: bool,
    ) -> Any: ...
    # fmt: on
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
        *,
        mc_samples: int | None = None,
        return_std: bool = False,
    ) -> Any:
        """Compute outputs in evaluation mode: an array (n, ...), or a list or dict of them as the model returns.

        Parameters
        ----------
        x : array_like, (n, ...)
            For several inputs a list or dict, as for :meth:`fit`.
        batch_size : int
            Rows of a batch, by default 32; or more where neither ``callbacks`` nor ``verbose`` show batches and rows do
            not depend on each other. Results may differ in the last bits with it.
        verbose : {"auto", 0, 1, 2}
            See :class:`nbnet.callbacks.progress.Progress`.
        steps : int
            Number of batches to predict, by default all.
        callbacks : list of nbnet.callbacks.Callback
            Called at the beginning and the end; those that define a batch hook, around each batch.
        mc_samples : int
            Instead of evaluation mode: the mean of ``mc_samples`` passes with dropout active; see :meth:`predict_mc`.
        return_std : bool
            If True, return ``(mean, std)`` of these passes.
        """
        if mc_samples is not None or return_std:
            rest = {"steps": steps, "callbacks": callbacks}
            return self._predict_sampled(x, mc_samples, return_std, batch_size, verbose, rest)
        verbose = level_of(verbose)
        plain = verbose == 0 and batch_size is None and steps is None and callbacks is None
        if plain and (out := predict_again(self, x)) is not None:
            return out
        source = prediction_source(self, x, batch_size, steps, verbose != 0 or bool(callbacks))
        self.stop_predicting = False
        if verbose == 0 and callbacks is None:
            with SingleThread():
                return predict_source(self, source)
        calls = self._callback_list(callbacks, {})
        with SingleThread(), Progress(verbose, None, source.length) as bar:
            bar.begin_epoch(0)
            calls.call("on_predict_begin", {})
            out = predict_source(self, source, bar, calls)
            calls.call("on_predict_end", {})
            bar.end_epoch({})
        return out

    def predict_on_batch(self, x: Any) -> NDArray[Any]:
        """Compute outputs of one batch in evaluation mode."""
        return Trainer.predict(self, x, ONE_BATCH, 0)

    def predictor(self, rows: int = 1) -> Predictor:
        """Return a function that predicts batches of ``rows`` rows, prepared once: a few microseconds for one row.

        Parameters
        ----------
        rows
            Number of rows of each batch.

        Raises
        ------
        ValueError
            If the model is not one that can be prepared for: see :class:`nbnet.train.predict.Predictor`.

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
    ) -> MCPrediction:
        """Sample outputs in many passes with dropout active: their mean, spread and more.

        Layers that draw random numbers (Dropout and its like) act as in training, all others as in prediction. The
        part of the model before the first of them is computed once.

        Parameters
        ----------
        x : array_like, (n, ...)
            For several inputs a list or dict, as for :meth:`fit`.
        samples : int
            Number of passes.
        masks : {"per_sample", "shared"}
            ``"per_sample"``: each row has a mask of its own in each pass. ``"shared"``: all rows share one, so that
            each pass is one sub-network, whose dropped units are not multiplied at all. Either way a mask is a function
            of the seed, the pass and the row, whatever the batch size and the number of threads.
        quantiles : float or sequence of float
            Quantiles of the samples to compute, in [0, 1].
        return_samples : bool
            If True, keep all samples.
        batch_size : int
            Rows computed at a time; by default 512. Results may differ in the last bits with it.
        seed : int
            Seed of the masks, together with the layers' own seeds; by default each call draws others, those of its
            number among the calls for this model.
        verbose : {0, "auto", 1, 2}
            See :class:`nbnet.callbacks.progress.Progress`; silent by default.

        Returns
        -------
        MCPrediction
            Or a list or dict of them, as the model returns.

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
        >>> prediction = model.predict_mc(x, samples=200, quantiles=[0.05, 0.95], seed=1)
        >>> prediction.mean.shape, prediction.quantiles.shape
        ((2, 1), (2, 2, 1))
        >>> bool(prediction.std[1, 0] > 10 * prediction.std[0, 0])
        True
        """
        request = MCRequest.checked(samples, masks, quantiles, return_samples)
        size = SAMPLED_ROWS if batch_size is None else check_int(batch_size, "batch_size")
        step = first_step(seed, self._train_state.draws)
        if data.is_stream(x):
            raise TypeError(f"x: expected arrays for predict_mc, got a {type(x).__name__}; call it for each batch")
        rows = input_rows(self, x)
        with SingleThread(), Progress(verbose, None, -(-len(rows) // size)) as bar:
            bar.begin_epoch(0)
            template, results = sample(self, rows, size, request, step, bar)
            bar.end_epoch({})
        predictions = [MCPrediction.of(request.samples, result, self.dtype) for result in results]
        structured: MCPrediction = restructure(template, predictions)
        return structured

    def _predict_sampled(
        self, x: Any, samples: Any, return_std: bool, batch_size: Any, verbose: Any, rest: Mapping[str, Any]
    ) -> Any:
        """Return the mean of samples, or mean and standard deviation."""
        if samples is None:
            raise ValueError("return_std: expected mc_samples, the number of passes with dropout active")
        if given := [name for name, value in rest.items() if value is not None]:
            raise ValueError(f"{given[0]}: cannot be combined with mc_samples")
        samples = check_int(samples, "mc_samples")
        prediction = self.predict_mc(x, samples, batch_size=batch_size, verbose=verbose)
        mean = map_structure(lambda output: output.mean, prediction)
        return (mean, map_structure(lambda output: output.std, prediction)) if return_std else mean


default_step(Trainer.evaluate)


def prepare_fit(model: Trainer, arguments: Mapping[str, Any]) -> PreparedFit:
    """Return the training that ``model.fit(**arguments)`` would run, the arguments checked."""
    bound = inspect.signature(Trainer.fit).bind(model, **arguments)
    bound.apply_defaults()
    return model._prepare_fit(*bound.args[1:])


def _returned(logs: dict[str, Any], as_dict: bool) -> Any:
    if as_dict:
        return logs
    values: list[float] = list(logs.values())
    return values[0] if list(logs) == ["loss"] else values
