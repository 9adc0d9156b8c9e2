"""Pictures in files: read, written, and in batches from folders of them, with Pillow (extra ``image``)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nbnet.base.array_memory import plain_array
from nbnet.base.atomic_file import target
from nbnet.base.regular_file import open_regular
from nbnet.config import floatx
from nbnet.random import generator, next_key
from nbnet.utils.batches import FileBatches, check_subset, in_parts, labelled_files, labels_in_mode
from nbnet.utils.files import FilePath

Array = NDArray[Any]
ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("pictures are read by Pillow: pip install 'nbnet[image]'") from error
    return Image


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: Sequence[int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Read a picture as a Pillow image.

    Parameters
    ----------
    path
        Path of a file, or an open one.
    color_mode : {"rgb", "rgba", "grayscale"}
    target_size
        ``(height, width)`` to resize to; None for the picture's own.
    interpolation : {"nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"}
    keep_aspect_ratio
        If True, cut the picture to the proportions of ``target_size`` first.

    Raises
    ------
    ImportError
        If Pillow is not installed: extra ``image``.
    ValueError
        If a word is none of these.
    OSError
        If there is no file, or it is a folder, a FIFO, a socket or a device.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import nbnet as nb
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nb.utils.save_img(f"{folder}/a.png", np.full((4, 6, 3), 7.0), scale=False)
    ...     nb.utils.img_to_array(nb.utils.load_img(f"{folder}/a.png", target_size=(2, 3))).shape
    (2, 3, 3)
    """
    if color_mode not in _MODES:
        raise ValueError(f"color_mode: expected one of {sorted(_MODES)}, got {color_mode!r}")
    if interpolation not in _FILTERS:
        raise ValueError(f"interpolation: expected one of {sorted(_FILTERS)}, got {interpolation!r}")
    library = _pillow()
    with nullcontext(path) if hasattr(path, "read") else open_regular(path) as file:
        image = library.open(file).convert(_MODES[color_mode])
    if target_size is None:
        return image
    height, width = target_size[:2]
    if keep_aspect_ratio:
        image = image.crop(_middle(image.size, (width, height)))
    return image.resize((width, height), _FILTERS[interpolation])


def _middle(size: tuple[int, int], wanted: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the box in the middle of a picture with the proportions of another size."""
    width = min(size[0], size[1] * wanted[0] // wanted[1])
    height = min(size[1], size[0] * wanted[1] // wanted[0])
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return left, top, left + width, top + height


def _with_margins(image: Any, size: tuple[int, int]) -> Any:
    """Return a picture in the middle of a black one with the proportions of a size (height, width)."""
    width, height = image.size
    wide, high = max(width, height * size[1] // size[0]), max(height, width * size[0] // size[1])
    left, top = (width - wide) // 2, (height - high) // 2
    return image.crop((left, top, left + wide, top + high))


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> Array:
    """Return a picture as an array (height, width, channels) of floats.

    Parameters
    ----------
    img
        Pillow image, or an array.
    data_format
        None or ``"channels_last"``; with ``"channels_first"`` the channels are the first axis.
    dtype
        By default the framework's.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> nb.utils.img_to_array(np.zeros((4, 6))).shape
    (4, 6, 1)
    """
    array = np.asarray(img, dtype=floatx() if dtype is None else dtype)
    if array.ndim not in (2, 3):
        raise ValueError(f"img: expected a picture of 2 or 3 axes, got shape {array.shape}")
    array = array[..., None] if array.ndim == 2 else array
    return array.transpose(2, 0, 1) if data_format == "channels_first" else array


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Any:
    """Return an array (height, width, channels) as a Pillow image.

    Parameters
    ----------
    x
        1, 3 or 4 channels.
    data_format
        None or ``"channels_last"``; with ``"channels_first"`` the channels are the first axis.
    scale
        If True, the values are stretched to 0 to 255.

    Examples
    --------
    >>> import numpy as np
    >>> import nbnet as nb
    >>> nb.utils.array_to_img(np.zeros((4, 6, 3))).size
    (6, 4)
    """
    array = plain_array(x, "x").astype(np.float32)
    array = array.transpose(1, 2, 0) if data_format == "channels_first" else array
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise ValueError(f"x: expected (height, width, channels) with 1, 3 or 4 channels, got shape {array.shape}")
    if scale:
        array = array - array.min()
        array = array * (255.0 / array.max()) if array.max() else array
    pixels = array.astype(np.uint8)
    return _pillow().fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def save_img(
    path: FilePath, x: Any, data_format: str | None = None, file_format: str | None = None, scale: bool = True,
    **kwargs: Any,
) -> None:  # fmt: skip
    """Write an array (height, width, channels) as a picture.

    Parameters
    ----------
    path
        Of the file; its ending names the format unless ``file_format`` does.
    x, data_format, scale
        See :func:`array_to_img`.

    Examples
    --------
    See :func:`load_img`.

    >>> import nbnet as nb
    >>> nb.utils.save_img("a.png", [[1.0]])
    Traceback (most recent call last):
        ...
    ValueError: x: expected (height, width, channels) with 1, 3 or 4 channels, got shape (1, 1)
    """
    image = array_to_img(x, data_format, scale)
    kind = (
        (file_format or (Path(path).suffix[1:] if isinstance(path, (str, Path)) else "")).upper().replace("JPG", "JPEG")
    )
    if kind == "JPEG" and image.mode == "RGBA":  # which has no channel of transparency
        image = image.convert("RGB")
    image.save(target(path) if isinstance(path, (str, Path)) else path, format=kind or None, **kwargs)


def image_dataset_from_directory(
    directory: FilePath,
    labels: Any = "inferred",
    label_mode: Literal["int", "categorical", "binary"] | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Return batches of the pictures in a folder that has a folder for each class.

    Parameters
    ----------
    directory
        The folder.
    labels
        ``"inferred"`` from the names of folders, in alphabetical order; None for none; or a list, one for each file
        in alphabetical order of paths.
    label_mode
        Labels as integers, one-hot rows, a column of 0 and 1, or none.
    class_names
        The names of folders, in the order to number them.
    color_mode, interpolation, crop_to_aspect_ratio
        See :func:`load_img`.
    batch_size, image_size, shuffle, seed
        Of batches; pictures are resized to ``(height, width)``. A size of None for pictures one by one.
    validation_split, subset
        Share of the files to hold out, and ``"training"``, ``"validation"`` or ``"both"``.
    pad_to_aspect_ratio
        If True, pictures get black margins for the proportions of ``image_size``.
    data_format
        None or ``"channels_last"``.
    follow_links, format
        Accepted as in Keras.
    verbose
        If True, print the numbers of files and classes.

    Returns
    -------
    PyDataset
        Batches ``(pictures, labels)`` of float32, pixels from 0 to 255, with ``class_names``; two for ``"both"``.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it holds no pictures, or an argument does not fit.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.utils.image_dataset_from_directory("nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: directory: nowhere is not a folder
    """
    if data_format not in (None, "channels_last"):
        raise ValueError(f"data_format: expected None or 'channels_last', got {data_format!r}")
    if color_mode not in _MODES:
        raise ValueError(f"color_mode: expected one of {sorted(_MODES)}, got {color_mode!r}")
    check_subset(subset, validation_split)
    names, paths, numbers = labelled_files(directory, ENDINGS, labels, class_names, "pictures")
    if verbose:
        print(f"Found {len(paths)} files" + ("." if names is None else f" belonging to {len(names)} classes."))
    classes = int(numbers.max()) + 1 if names is None else len(names)
    wanted = None if labels is None else labels_in_mode(numbers, label_mode, classes)
    order = np.arange(len(paths))
    if shuffle and validation_split:
        order = generator(0 if seed is None else seed).permutation(len(paths))

    def read(files: list[str]) -> Array:
        pictures = []
        for file in files:
            if pad_to_aspect_ratio:
                picture = _with_margins(load_img(file, color_mode), image_size)
                picture = picture.resize((image_size[1], image_size[0]), _FILTERS[interpolation])
            else:
                picture = load_img(file, color_mode, image_size, interpolation, crop_to_aspect_ratio)
            pictures.append(img_to_array(picture))
        return np.stack(pictures)

    def part(rows: Array, shuffled: bool) -> FileBatches:
        draws = generator(next_key() if seed is None else seed) if shuffled else None
        kept, chosen = None if wanted is None else wanted[rows], [paths[k] for k in rows]
        return FileBatches(chosen, kept, names, read, batch_size, draws, workers=1)

    return in_parts(part, order, validation_split, subset, shuffle)
