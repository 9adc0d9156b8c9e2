"""California housing: prices of houses in districts of California, 20640 rows of 8 numbers."""

from __future__ import annotations

from nbnet.datasets.keras_files import FilePath, Split, find, read_rows


def load_data(
    version: str = "large", path: FilePath = "california_housing.npz", test_split: float = 0.2, seed: int = 113
) -> Split:
    """California housing: median prices of houses in dollars.

    Parameters
    ----------
    version : {"large", "small"}
        All rows, or the first 600, around San Francisco.
    path
        Keras's file ``california_housing.npz``, with the arrays x and y; looked for in the folder that the environment
        variable ``NBNET_DATA`` names, and in ``~/.keras/datasets``.
    test_split
        Share of the rows in the test set.
    seed
        Of the shuffle before the split, which is that of Keras.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        float32: longitude, latitude, age, rooms, bedrooms, population, households, income (n, 8), and prices (n,).

    Raises
    ------
    FileNotFoundError
        If there is no such file: nothing is fetched.
    ValueError
        If the file is damaged, or an argument out of range.

    References
    ----------
    R. K. Pace, R. Barry: Sparse spatial autoregressions. Statistics and Probability Letters 33, 1997.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.datasets.california_housing.load_data(path="nowhere.npz")
    Traceback (most recent call last):
        ...
    FileNotFoundError: nowhere.npz: nothing is fetched: get it from ...
    """
    if version not in ("large", "small"):
        raise ValueError(f"version: expected 'large' or 'small', got {version!r}")
    return read_rows(find(path, ["california_housing.npz"]), test_split, seed, 600 if version == "small" else None)
