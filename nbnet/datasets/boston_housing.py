"""Boston housing: prices of houses in the suburbs of Boston, 506 rows of 13 numbers."""

from __future__ import annotations

from nbnet.datasets.keras_files import FilePath, Split, find, read_rows


def load_data(path: FilePath = "boston_housing.npz", test_split: float = 0.2, seed: int = 113) -> Split:
    """Boston housing: prices of houses in thousands of dollars.

    Parameters
    ----------
    path
        Keras's file ``boston_housing.npz``, with the arrays x and y; looked for in the folder that the environment
        variable ``NBNET_DATA`` names, and in ``~/.keras/datasets``.
    test_split
        Share of the rows in the test set.
    seed
        Of the shuffle before the split, which is that of Keras.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        float64: numbers that describe a suburb (n, 13), and prices (n,).

    Raises
    ------
    FileNotFoundError
        If there is no such file: nothing is fetched.
    ValueError
        If the file is damaged, or an argument out of range.

    References
    ----------
    D. Harrison, D. L. Rubinfeld: Hedonic housing prices and the demand for clean air. Journal of Environmental
    Economics and Management 5, 1978.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.datasets.boston_housing.load_data(path="nowhere.npz")
    Traceback (most recent call last):
        ...
    FileNotFoundError: nowhere.npz: nothing is fetched: get it from ...
    """
    return read_rows(find(path, ["boston_housing.npz"]), test_split, seed)
