"""The Keras-like face of a network: training, evaluation and the summary, on top of the classes that do the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nbnet.callbacks.callback import CallbackList
from nbnet.core.blas import single_thread
from nbnet.history import History
from nbnet.models import supply
from nbnet.models.fitting import Fitting
from nbnet.models.position import Position
from nbnet.models.predicting import Predicting
from nbnet.models.summary import summary, summary_html
from nbnet.progress import Progress
from nbnet.ranges import count


class Model(Predicting):
    """A network with a training loop.

    There are three ways to make one: :class:`nbnet.Sequential`; ``Model(inputs, outputs)`` of symbols, which layers
    return when they are called with what :func:`nbnet.Input` returns; and a subclass that defines ``call``.

    Use :meth:`compile`, :meth:`fit`, :meth:`evaluate`, :meth:`predict`. A model is called like a layer, too: on a
    tape it records.

    Parameters
    ----------
    inputs, outputs
        A symbol, or a list or dict of them.
    name
        By default the class's name in snake case, numbered.
    trainable
        Whether optimizers change its weights.
    dtype
        What it computes in; None: what its layers do.

    Raises
    ------
    TypeError
        If something else than symbols is among inputs and outputs.
    ValueError
        If outputs depend on an input that is not given, names collide, or layers compute in different dtypes.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> nb.set_random_seed(0)
    >>> age, job = nb.Input((1,), name="age"), nb.Input((1,), dtype="int32", name="job")
    >>> vector = nb.layers.Flatten()(nb.layers.Embedding(5, 2)(job))
    >>> model = nb.Model([age, job], nb.layers.Dense(1)(nb.layers.concatenate([age, vector])))
    >>> model.compile("adam", "mse")
    >>> data = {"age": np.linspace(0, 1, 10), "job": np.arange(10) % 5}
    >>> history = model.fit(data, np.ones(10), verbose=0)
    >>> model.predict(data).shape
    (10, 1)
    """

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        name: str | None = None,
        *,
        trainable: bool = True,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(inputs, outputs, name=name, trainable=trainable, dtype=dtype, **kwargs)

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
            dict; there may be None for an output without loss and metrics.
        batch_size : int
            Rows of a step, by default 32; the last batch may be shorter.
        epochs, initial_epoch : int
            Train from epoch ``initial_epoch`` up to ``epochs``. If so many epochs were trained before, in this process
            or the one that saved the model, the training goes on as if it had not ended.
        verbose : {"auto", 0, 1, 2}
            See :class:`nbnet.progress.Progress`.
        callbacks : list of nbnet.callbacks.Callback
            Called as training goes on; one that defines a batch hook makes every batch a call of its own.
        validation_split : float
            Share of the last rows to hold out.
        validation_data : tuple
            ``(x, y)`` or ``(x, y, sample_weight)``, or batches.
        shuffle : bool
            Whether each epoch sees the rows in a new order, or a dataset's batches.
        class_weight : dict
            Weight of each class; multiplied with the sample weights. For models of one output.
        sample_weight : array_like, (n,)
            Weight of each row in the loss; for several outputs one for all, or a list or dict.
        steps_per_epoch, validation_steps : int
            Batches of an epoch, and of a validation. An epoch goes on where the last one ended, a validation begins
            anew. By default all there are; a generator without end needs them.
        validation_batch_size : int
            By default ``batch_size``.
        validation_freq : int or list of int
            Validate after every so many epochs, or after those of these numbers, from 1.
        record_masks : int
            Keep the dropout masks of the last so many steps: they are what ``masks`` of the history holds.

        Returns
        -------
        History

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit the model; before anything is trained, unless it comes in batches.
        """
        fitting = Fitting(
            self, x, y, batch_size, epochs, verbose, callbacks, validation_split, validation_data, shuffle,
            class_weight, sample_weight, initial_epoch, steps_per_epoch, validation_steps, validation_batch_size,
            validation_freq, record_masks,
        )  # fmt: skip
        with self._alone():
            return fitting.run()

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
        """Loss and metrics in evaluation mode.

        Parameters
        ----------
        x, y, sample_weight
            As for :meth:`fit`.
        batch_size : int
            Rows computed at a time, by default 256.
        verbose : {"auto", 0, 1, 2}
            See :class:`nbnet.progress.Progress`.
        steps : int
            Batches to be evaluated, by default all.
        callbacks : list of nbnet.callbacks.Callback
            Called at the beginning and the end; those that define a batch hook, around each batch.

        Returns
        -------
        The loss; a list of the loss, the losses of outputs if several are trained, and metrics; a dict if
        ``return_dict``.
        """
        self._check_compiled()
        given = supply.for_evaluation(self, (x, y, sample_weight), batch_size, steps)
        calls = CallbackList(callbacks, self)
        with single_thread, Progress(verbose, None, given.length) as bar:
            bar.begin_epoch(0)
            calls.call("on_test_begin", None)
            logs = given.evaluator(calls, bar)()
            calls.call("on_test_end", logs)
            bar.end_epoch(logs)
        return _returned(logs, return_dict)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One update from one batch; returns its loss (and metrics) before the update."""
        self._check_compiled()
        rows = self._intake(x, y, sample_weight).weighted(class_weight, self.compute_dtype)
        with self._alone(), single_thread:
            logs = self._epochs(rows, len(rows), False, Position(), CallbackList(None, self), None).run(0)
        return _returned(logs, return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Loss (and metrics) of one batch in evaluation mode."""
        return self.evaluate(x, y, supply.ONE_BATCH, 0, sample_weight=sample_weight, return_dict=return_dict)

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
        *,
        batch_size: int = supply.BATCH_SIZE,
    ) -> None:
        """Print the layers, their output shapes and numbers of parameters, as Keras does; for a model of symbols, what
        each layer reads, too. In the end, what memory training takes beside the data, or prediction if the model is not
        compiled.

        Parameters
        ----------
        line_length, positions
            Accepted as in Keras; here a table is as wide as what is in it.
        print_fn
            Called once with the whole text, in place of ``print``.
        expand_nested
            Whether the layers of models in the model are shown.
        show_trainable
            Whether to say for each layer with weights if it is trained: ``Y`` or ``N``.
        layer_range
            Two names or regular expressions: the first and the last layer to be shown.
        batch_size
            What the memory is shown for.

        Examples
        --------
        >>> import nbnet as nb
        >>> model = nb.Sequential([nb.Input((8,)), nb.layers.Dense(4, name="dense")], name="small")
        >>> model.compile("adam", "mse")
        >>> model.summary()
        Model: "small"
        ──────────────────────────────────────
        Layer (type)    Output Shape   Param #
        ──────────────────────────────────────
        dense (Dense)   (None, 4)           36
        ──────────────────────────────────────
        Total params: 36 (144.00 B)
        Trainable params: 36 (144.00 B)
        Non-trainable params: 0 (0.00 B)
        Memory of training in batches of 32: 3.33 KB
          = 144.00 B parameters + 192.00 B gradients + 384.00 B optimizer + 2.62 KB activations
        """
        size = count(batch_size, "batch_size")
        (print_fn or print)(summary(self, expand_nested, show_trainable, layer_range, size))

    def _repr_html_(self) -> str:
        return summary_html(self)


def _returned(logs: dict[str, Any], as_dict: bool) -> Any:
    return logs if as_dict else (logs["loss"] if list(logs) == ["loss"] else list(logs.values()))
