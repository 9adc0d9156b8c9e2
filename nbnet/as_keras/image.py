"""``keras.preprocessing.image`` of Keras 2: batches of pictures, each changed at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nbnet.base.array_memory import plain_array
from nbnet.random import generator, next_key
from nbnet.utils.batches import RowBatches
from nbnet.utils.files import files_in, paths_by_folder
from nbnet.utils.images import ENDINGS, img_to_array, load_img

Array = NDArray[Any]


class ImageDataGenerator:
    """Changes pictures at random, batch by batch: shifts, turns, zooms, flips, brightness.

    Parameters
    ----------
    rotation_range, shear_range
        Largest angles in degrees.
    width_shift_range, height_shift_range
        Largest shifts: a share of the size below 1, else pixels.
    zoom_range
        Largest change of size, or the smallest and largest factor.
    brightness_range, channel_shift_range
        Smallest and largest factor of all pixels; largest change of a channel.
    horizontal_flip, vertical_flip
        If True, half the pictures are mirrored.
    rescale, preprocessing_function
        Factor of all pixels, and a function of a picture, after all else.
    featurewise_center, featurewise_std_normalization, samplewise_center, samplewise_std_normalization
        Mean 0 and standard deviation 1, of the pictures given to :meth:`fit`, or of each picture.
    zca_whitening, zca_epsilon
        If True, pixels are uncorrelated among the pictures given to :meth:`fit`; added to their variances.
    fill_mode, cval
        Pixels from outside: ``nearest``, ``constant``, ``reflect`` or ``wrap``.
    validation_split
        Share of the pictures for ``subset="validation"``.

    Examples
    --------
    >>> import numpy as np
    >>> from nbnet.as_keras.image import ImageDataGenerator
    >>> batches = ImageDataGenerator(rescale=0.5).flow(np.ones((5, 4, 4, 1)), np.arange(5), batch_size=2, shuffle=False)
    >>> x, y = batches[0]
    >>> x.shape, float(x.max()), y.tolist(), len(batches)
    ((2, 4, 4, 1), 0.5, [0, 1], 3)
    """

    def __init__(
        self, featurewise_center: bool = False, samplewise_center: bool = False,
        featurewise_std_normalization: bool = False, samplewise_std_normalization: bool = False,
        zca_whitening: bool = False, zca_epsilon: float = 1e-6, rotation_range: float = 0,
        width_shift_range: Any = 0.0, height_shift_range: Any = 0.0, brightness_range: Any = None,
        shear_range: float = 0.0, zoom_range: Any = 0.0, channel_shift_range: float = 0.0, fill_mode: str = "nearest",
        cval: float = 0.0, horizontal_flip: bool = False, vertical_flip: bool = False, rescale: float | None = None,
        preprocessing_function: Callable[[Array], Any] | None = None, data_format: str | None = None,
        validation_split: float = 0.0, interpolation_order: int = 1, dtype: Any = None, dim_ordering: Any = None,
    ) -> None:  # fmt: skip
        if data_format == "channels_first":
            raise ValueError("data_format: the channels are the last axis here")
        self.featurewise_center, self.samplewise_center = featurewise_center, samplewise_center
        self.featurewise_std_normalization = featurewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.rotation_range, self.shear_range = rotation_range, shear_range
        self.width_shift_range, self.height_shift_range = width_shift_range, height_shift_range
        self.brightness_range, self.channel_shift_range = brightness_range, channel_shift_range
        self.zoom_range = (1 - zoom_range, 1 + zoom_range) if isinstance(zoom_range, (int, float)) else (*zoom_range,)
        self.fill_mode, self.cval = fill_mode, cval
        self.horizontal_flip, self.vertical_flip = horizontal_flip, vertical_flip
        self.rescale, self.preprocessing_function = rescale, preprocessing_function
        self._validation_split, self.interpolation_order = validation_split, interpolation_order
        self.zca_whitening, self.zca_epsilon = zca_whitening, zca_epsilon
        self.whitening: Any = None
        self.mean: Any = None
        self.std: Any = None

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Take mean and standard deviation of pictures (n, height, width, channels), for the featurewise
        options, and what whitens them."""
        pictures = plain_array(x, "x").astype(np.float32)
        self.mean = pictures.mean((0, 1, 2)) if self.featurewise_center else None
        self.std = pictures.std((0, 1, 2)) if self.featurewise_std_normalization else None
        if self.zca_whitening:
            pictures = pictures if self.mean is None else pictures - self.mean
            rows = (pictures if self.std is None else pictures / (self.std + 1e-6)).reshape(len(pictures), -1)
            u, s, _ = np.linalg.svd(rows.T, full_matrices=False)
            scales = np.sqrt(s**2 / len(rows) + self.zca_epsilon)
            self.whitening = ((u / scales) @ u.T).astype(np.float32)

    def random_transform(self, x: Any, seed: int | None = None) -> Array:
        """A picture, changed at random."""
        return self._changed(np.asarray(x, np.float32), generator(next_key() if seed is None else seed))

    def _changed(self, x: Array, draws: np.random.Generator) -> Array:
        height, width = x.shape[:2]
        angle = np.deg2rad(draws.uniform(-self.rotation_range, self.rotation_range))
        shear = np.deg2rad(draws.uniform(-self.shear_range, self.shear_range))
        shift = [
            self._shift(self.height_shift_range, height, draws), self._shift(self.width_shift_range, width, draws)
        ]  # fmt: skip
        zoom = draws.uniform(self.zoom_range[0], self.zoom_range[1], 2) if self.zoom_range != (1, 1) else np.ones(2)
        matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = matrix @ np.array([[1, -np.sin(shear)], [0, np.cos(shear)]]) @ np.diag(zoom)
        if not np.array_equal(matrix, np.eye(2)) or any(shift):
            middle = (np.array([height, width]) - 1) / 2
            offset = middle - matrix @ (middle - np.array(shift))
            mode = "grid-wrap" if self.fill_mode == "wrap" else self.fill_mode
            channels = [
                ndimage.affine_transform(
                    x[..., c], matrix, offset, order=self.interpolation_order, mode=mode, cval=self.cval
                )
                for c in range(x.shape[-1])
            ]
            x = np.stack(channels, -1)
        if self.channel_shift_range:
            low, high = x.min(), x.max()
            x = np.clip(x + draws.uniform(-self.channel_shift_range, self.channel_shift_range), low, high)
        if self.horizontal_flip and draws.random() < 0.5:
            x = x[:, ::-1]
        if self.vertical_flip and draws.random() < 0.5:
            x = x[::-1]
        return x * draws.uniform(*self.brightness_range) if self.brightness_range is not None else x

    @staticmethod
    def _shift(most: Any, size: int, draws: np.random.Generator) -> float:
        if not isinstance(most, (int, float)):
            return float(draws.choice(most))
        return float(draws.uniform(-most, most)) * (size if most < 1 else 1)

    def standardize(self, x: Any) -> Array:
        """A picture after the options that are not random."""
        x = np.asarray(x, np.float32)
        if self.preprocessing_function is not None:
            x = np.asarray(self.preprocessing_function(x))
        x = x if self.rescale is None else x * self.rescale
        x = x - x.mean() if self.samplewise_center else x
        x = x / (x.std() + 1e-6) if self.samplewise_std_normalization else x
        x = x if self.mean is None else x - self.mean
        x = np.asarray(x if self.std is None else x / (self.std + 1e-6))
        return x if self.whitening is None else np.reshape(x.reshape(-1) @ self.whitening, x.shape)

    def flow(
        self, x: Any, y: Any = None, batch_size: int = 32, shuffle: bool = True, sample_weight: Any = None,
        seed: int | None = None, subset: str | None = None, **others: Any,
    ) -> Batches:  # fmt: skip
        """Batches of arrays of pictures (n, height, width, channels) with their labels, without end in a loop."""
        pictures = plain_array(x, "x")
        if pictures.ndim != 4:
            raise ValueError(f"x: expected pictures (n, height, width, channels), got shape {pictures.shape}")
        parts = [np.asarray(p) for p in (y, sample_weight) if p is not None]
        rows = self._part(np.arange(len(pictures)), subset)
        return Batches(self, lambda k: pictures[k], rows, [p[rows] for p in parts], batch_size, shuffle, seed)

    def _part(self, rows: Array, subset: str | None) -> Array:
        cut = int(len(rows) * self._validation_split)
        return rows if subset is None else rows[:cut] if subset == "validation" else rows[cut:]

    def flow_from_directory(
        self, directory: Any, target_size: Sequence[int] = (256, 256), color_mode: str = "rgb",
        classes: Sequence[str] | None = None, class_mode: str | None = "categorical", batch_size: int = 32,
        shuffle: bool = True, seed: int | None = None, subset: str | None = None, interpolation: str = "nearest",
        **others: Any,
    ) -> Batches:  # fmt: skip
        """Batches of the pictures in a folder that has a folder for each class."""
        found = paths_by_folder(directory, ENDINGS)
        names = sorted(found) if classes is None else list(classes)
        chosen: list[tuple[Path, int]] = []
        for k, name in enumerate(names):
            paths = found[name] if name in found else files_in(Path(directory) / name, ENDINGS)
            chosen += [(paths[i], k) for i in self._part(np.arange(len(paths)), subset)]
        print(f"Found {len(chosen)} images belonging to {len(names)} classes.")
        labels = np.array([k for _, k in chosen], int)
        targets: dict[Any, Any] = {
            "categorical": lambda: np.eye(len(names), dtype=np.float32)[labels],
            "binary": lambda: labels.astype(np.float32),
            "sparse": lambda: labels,
            None: lambda: None,
        }
        if class_mode not in (*targets, "input"):
            raise ValueError(f"class_mode: expected categorical, binary, sparse, input or None, got {class_mode!r}")

        def read(k: int) -> Array:
            return img_to_array(load_img(chosen[k][0], color_mode, tuple(target_size), interpolation))

        parts = [] if class_mode in (None, "input") else [targets[class_mode]()]
        batches = Batches(self, read, np.arange(len(chosen)), parts, batch_size, shuffle, seed, class_mode == "input")
        batches.class_indices = {name: k for k, name in enumerate(names)}
        batches.classes, batches.filepaths = labels, [str(path) for path, _ in chosen]
        batches.filenames = [str(path.relative_to(directory)) for path, _ in chosen]
        batches.num_classes, batches.samples = len(names), len(chosen)
        batches.image_shape = (*target_size, {"grayscale": 1, "rgba": 4}.get(color_mode, 3))
        return batches


class Batches(RowBatches):
    """Batches of pictures that a generator changes; a loop over them does not end."""

    class_indices: dict[str, int]
    classes: Array
    filepaths: list[str]
    filenames: list[str]
    num_classes: int
    image_shape: tuple[int, ...]

    def __init__(
        self, change: ImageDataGenerator, read: Callable[[int], Array], rows: Array, parts: list[Array],
        batch_size: int, shuffle: bool, seed: int | None, repeats: bool = False,
    ) -> None:  # fmt: skip
        self._change, self._read, self._rows, self._parts = change, read, rows, parts
        self.n, self.samples, self.shuffle = len(rows), len(rows), shuffle
        self._changes = generator(next_key() if seed is None else seed)
        self._repeats, self._next = repeats, 0
        super().__init__(len(rows), batch_size, self._changes if shuffle else None)

    def reset(self) -> None:
        """Begin anew."""
        self._next = 0
        self.on_epoch_end()

    def _batch(self, rows: Array) -> Any:
        pictures = (np.asarray(self._read(self._rows[k]), np.float32) for k in rows)
        changed = [self._change._changed(picture, self._changes) for picture in pictures]
        x = np.stack([self._change.standardize(picture) for picture in changed]).astype(np.float32)
        if self._repeats:
            return x, x
        return (x, *(part[rows] for part in self._parts)) if self._parts else x

    def __iter__(self) -> Batches:
        return self

    def __next__(self) -> Any:
        if self._next >= len(self):
            self.reset()
        self._next += 1
        return self[self._next - 1]

    next = __next__


NumpyArrayIterator = DirectoryIterator = Iterator = Batches
