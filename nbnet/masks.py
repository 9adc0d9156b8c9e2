"""Dropout masks outside the tape: recomputed from the seed, recorded in compiled training, saved and loaded."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nbnet.base.array_memory import plain_array
from nbnet.base.json_record import fields
from nbnet.base.tensor_file import FORMAT, FilePath, Reader, write
from nbnet.base.uninterrupted import apart
from nbnet.train.mask_recording import RecordedMasks, StepMasks
from nbnet.train.step_masks import step_masks

__all__ = ["RecordedMasks", "StepMasks", "load_masks", "save_masks", "step_masks"]

Array = NDArray[Any]

#: Kind of file in the record.
KIND = "masks"


def save_masks(path: FilePath, masks: Mapping[str, ArrayLike], overwrite: bool = True) -> None:
    """Write masks to a file, in one bit per unit.

    Parameters
    ----------
    path
        Path with any ending; the format is safetensors.
    masks
        ``{name: array of bool}``, such as ``tape.masks``, ``model.masks(step)`` or a step of ``history.masks``.
    overwrite
        If False, an existing file is an error.

    Raises
    ------
    TypeError
        If ``masks`` is no dict of boolean arrays.
    FileExistsError
        If there is a file and ``overwrite`` is False.
    OSError
        If it cannot be written; then the old file remains.

    Examples
    --------
    >>> import tempfile
    >>> import nbnet as nb
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nb.save_masks(f"{folder}/masks.safetensors", {"drop": [[True, False]]})
    ...     nb.load_masks(f"{folder}/masks.safetensors")
    {'drop': array([[ True, False]])}
    """
    if not isinstance(masks, Mapping):
        raise TypeError(f"masks: expected a dict of bool arrays by name of layer, got {type(masks).__name__}")
    arrays = {name: plain_array(mask, f"masks[{name!r}]") for name, mask in masks.items()}
    for name, mask in arrays.items():
        if not isinstance(name, str) or not name:
            raise TypeError(f"masks: expected names that are strings, got {name!r}")
        if mask.dtype != np.bool_:
            raise TypeError(f"masks[{name!r}]: expected booleans, got {mask.dtype}")
    words = {name: _words(mask) for name, mask in arrays.items()}
    shapes = {name: list(mask.shape) for name, mask in arrays.items()}
    write(path, words, {"kind": KIND, "shapes": shapes}, overwrite)


@apart
def load_masks(path: FilePath) -> dict[str, Array]:
    """Load masks that :func:`save_masks` wrote; ``nb.Tape(masks=nb.load_masks(path))`` replays them.

    Returns
    -------
    dict
        Arrays of bool, True = kept, by name of layer.

    Raises
    ------
    ValueError
        If the file is damaged, or holds no masks.
    OSError
        If there is no file, or it is a folder, a FIFO, a socket or a device.

    Examples
    --------
    >>> import tempfile
    >>> import nbnet as nb
    >>> layer = nb.layers.Dropout(0.5, name="drop")
    >>> with nb.Tape() as tape, tempfile.TemporaryDirectory() as folder:
    ...     y = layer([[1.0, 2.0, 3.0]], training=True)
    ...     nb.save_masks(f"{folder}/masks", tape.masks)
    ...     masks = nb.load_masks(f"{folder}/masks")
    >>> with nb.Tape(masks=masks):
    ...     again = layer([[1.0, 2.0, 3.0]], training=True)
    >>> again.numpy().tolist() == y.numpy().tolist()
    True
    """
    with Reader(path) as reader:
        where = reader.path.name
        if not isinstance(reader.about, dict) or reader.about.get("kind") != KIND:
            raise ValueError(f"{where}: holds no masks")
        # Format 1 had no number.
        about = fields({"format": 1, **reader.about}, {"format": int, "kind": str, "shapes": dict}, f"{where}: record")
        if about["format"] not in (1, FORMAT):
            raise ValueError(f"{where}: record: expected format {FORMAT}, got format {about['format']}")
        shapes = about["shapes"]
        if sorted(shapes) != sorted(reader.entries):
            raise ValueError(f"{where}: has shapes of {sorted(shapes)} and masks of {sorted(reader.entries)}")
        return {name: _mask(reader.read(name), shape, f"{where}: {name}") for name, shape in shapes.items()}


def _words(mask: Array) -> Array:
    """Return a mask as bits in int64, the first element in the lowest bit."""
    packed = np.packbits(mask.reshape(-1), bitorder="little")
    padded = np.zeros(-(-packed.size // 8) * 8, np.uint8)
    padded[: packed.size] = packed
    return padded.view("<i8")


def _mask(words: Array, shape: Any, where: str) -> Array:
    """Return the mask of a shape that lies in words of bits."""
    if not isinstance(shape, list) or len(shape) > 32 or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"{where}: {shape!r} is not a shape")
    size = prod(shape)
    if words.dtype != np.dtype("<i8") or words.shape != (-(-size // 64),):
        raise ValueError(f"{where}: a mask of shape {tuple(shape)} does not lie in {words.dtype} of {words.shape}")
    bits = np.unpackbits(words.view(np.uint8), bitorder="little")
    if bits[size:].any():
        raise ValueError(f"{where}: has bits behind its end")
    return bits[:size].astype(bool).reshape(shape)
