"""What models have to do with masks: those of past steps, and smaller models of the units that a mask keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from numpy.typing import NDArray

from nbnet.masks.recompute import step_masks
from nbnet.masks.recording import Recording, Ring
from nbnet.models.running import forget
from nbnet.ranges import count

if TYPE_CHECKING:
    from nbnet.history import History

Array = NDArray[Any]


class Masking:
    """The part of a :class:`nbnet.Model` that is about dropout masks."""

    if TYPE_CHECKING:
        name: str
        compute_dtype: Any

        def _overrides(self, step: str) -> bool: ...

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
        >>> model.masks(step=1234, n=2)["drop"].astype(int)  # doctest: +SKIP
        >>> with nb.Tape(step=1234) as tape:
        ...     y = model([[1.0] * 8] * 2, training=True)
        >>> (tape.masks["drop"] == model.masks(step=1234, n=2)["drop"]).all()
        True
        """
        return step_masks(self, step, x, n)  # type: ignore[arg-type]

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
