"""What models have to do with masks: those of past steps, and smaller models of the units that a mask keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from nbnet.masks.recompute import step_masks
from nbnet.masks.recording import Recording, Ring
from nbnet.models.running import forget
from nbnet.ranges import count

if TYPE_CHECKING:
    from nbnet.history import History
    from nbnet.models.model import Model

Array = NDArray[Any]


class Masking:
    """The part of a :class:`nbnet.Model` that is about dropout masks."""

    if TYPE_CHECKING:
        name: str
        compute_dtype: Any

        def _overrides(self, step: str) -> bool: ...

    #: For a model that :meth:`thin` made: the masks.
    thinned_by: Mapping[str, Any] | None = None
    #: What the programs of the training that is at work keep of their masks.
    recording: Recording | None = None

    def masks(self, step: int, x: Any = None, n: int | None = None) -> dict[str, Array]:
        """The dropout masks of a step of training, past or to come, drawn again from the seed.

        They are those that compiled training used, bit for bit, however the batch was cut; a tape of that step
        (``nb.Tape(step=step)``) draws the same. Rates are those of now.

        Parameters
        ----------
        step
            Number of the step, from 0: ``optimizer.iterations`` before it.
        x
            The inputs of its batch, of which only shapes matter.
        n
            Rows of its batch, instead of x.

        Returns
        -------
        dict
            Bool arrays by name of layer, True = kept; row i is that of the batch's row i.

        Raises
        ------
        ValueError
            If the step is negative, or a layer draws its masks from what the model computes.
        TypeError
            If there is not one of x and n.

        Examples
        --------
        >>> import nbnet as nb
        >>> nb.set_random_seed(1)
        >>> model = nb.Sequential([nb.Input((8,)), nb.layers.Dropout(0.5, name="drop"), nb.layers.Dense(1)])
        >>> with nb.Tape(step=1234) as tape:
        ...     y = model([[1.0] * 8] * 2, training=True)
        >>> tape.masks["drop"].tolist() == model.masks(step=1234, n=2)["drop"].tolist()
        True
        """
        return step_masks(self, step, x, n)  # type: ignore[arg-type]

    def thin(self, masks: Mapping[str, Any]) -> Model:
        """The smaller model that is left when masks drop units for good.

        Rows and columns of weights that belong to dropped units are left out, and each dropout layer with a mask
        becomes its factor ``1 / (1 - rate)``, a :class:`nbnet.layers.Rescaling` of its name. Called for training or
        not, the result gives what this model gives for training on a tape with these masks, up to the order of sums
        (with batch normalization: called for training). It takes the same inputs: where a mask drops units of the
        input itself, a :class:`nbnet.layers.TakeUnits` picks the others out; where something reads dropped units that
        makes more of them than 0, or the model returns them, a :class:`nbnet.layers.PutUnits` puts zeros in their
        place. Dropout layers without a mask stay.

        The weights are copies. Train them like those of any model, and write them back with :meth:`merge`.

        Parameters
        ----------
        masks
            ``{name of a dropout layer: bool array}``, True = kept: one mask for all rows, (units,), or with axes of
            length 1 before it. A layer's second call has the name ``name:1``, as on a tape.

        Returns
        -------
        A model of the same class, not compiled.

        Raises
        ------
        ValueError
            If a mask keeps nothing, differs from row to row or fits no layer; if masks together keep nothing of a
            layer; or if the model's class defines ``call``.
        TypeError
            If masks are no dict of boolean arrays.

        Notes
        -----
        Smaller are ``Dense``, ``Conv1D``, ``Conv2D`` and ``BatchNormalization``, through activations, pooling,
        ``Flatten``, ``Concatenate``, and sums (or products, maxima ...) of branches: of those, units that all branches
        drop. Any other layer computes all its units, and so does one that is called more than once or penalises its
        output: for what is dropped before it, it gets zeros; what is dropped after it is picked out.

        References
        ----------
        N. Srivastava et al.: Dropout: a simple way to prevent neural networks from overfitting. JMLR 15 (2014), section
        1: training with dropout is training a thinned network for each case.

        Examples
        --------
        >>> import nbnet as nb
        >>> model = nb.Sequential(
        ...     [
        ...         nb.Input((4,)),
        ...         nb.layers.Dense(100, "relu"),
        ...         nb.layers.Dropout(0.5, name="drop"),
        ...         nb.layers.Dense(1),
        ...     ]
        ... )
        >>> small = model.thin({"drop": [True, False] * 50})
        >>> model.count_params(), small.count_params()
        (601, 301)
        >>> small.compile("sgd", "mse")
        >>> history = small.fit([[1.0, 2.0, 3.0, 4.0]], [1.0], verbose=0)
        >>> model.merge(small)
        """
        from nbnet.thinning import thin

        return thin(self, masks)  # type: ignore[arg-type]

    def merge(self, thinned: Model, masks: Mapping[str, Any] | None = None) -> None:
        """Write the weights of a model that :meth:`thin` made back to where they came from.

        Weights that belong to dropped units stay as they are, bit for bit; so does the state of the optimizer. Nothing
        is written if something does not fit.

        Parameters
        ----------
        thinned
            The smaller model.
        masks
            What it was made by; needed if it comes from a file.

        Raises
        ------
        ValueError
            If it is not a thinned version of this model by these masks.
        """
        from nbnet.thinning import merge

        merge(self, thinned, masks)  # type: ignore[arg-type]

    def new_ring(self) -> Ring | None:
        """Where a new program keeps its masks, if it is to."""
        return None if self.recording is None else self.recording.ring(self.compute_dtype)

    @contextmanager
    def _recording_masks(self, steps: int, history: History) -> Iterator[None]:
        """Let the programs that are written meanwhile keep the masks of the last steps, and give them to the
        history."""
        steps = count(steps, "record_masks", least=0)
        if steps == 0:
            yield
            return
        if self._overrides("train_step"):
            raise ValueError(
                f"record_masks: {self.name} is trained by train_step in Python, where a tape has the masks; "
                "only compiled training records them"
            )
        self.recording = Recording(steps)
        try:
            yield
        finally:
            history.masks = self.recording.masks()
            forget(self, self.recording)  # type: ignore[arg-type]
            self.recording = None
