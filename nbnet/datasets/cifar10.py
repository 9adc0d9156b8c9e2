"""CIFAR-10: photographs of ten kinds of things, 50000 of 32 by 32 pixels for training and 10000 for tests."""

from __future__ import annotations

from nbnet.datasets.keras_files import FilePath, Split, find, read_photographs


def load_data(path: FilePath = "cifar-10-python.tar.gz") -> Split:
    """CIFAR-10: photographs of airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck, 0 to 9.

    Parameters
    ----------
    path
        The file ``cifar-10-python.tar.gz``, or a folder with the batches in it; by default looked for in the
        folder that the environment variable ``NBNET_DATA`` names, and in ``~/.keras/datasets``. Nothing in it is run.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        uint8: images (n, 32, 32, 3) from 0 to 255; labels (n, 1).

    Raises
    ------
    FileNotFoundError
        If there is no such file: nothing is fetched.
    ValueError
        If a file is damaged.

    References
    ----------
    A. Krizhevsky: Learning multiple layers of features from tiny images. Technical report, 2009.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.datasets.cifar10.load_data(path="nowhere.tar.gz")
    Traceback (most recent call last):
        ...
    FileNotFoundError: nowhere.tar.gz: nothing is fetched: get it from ...
    """
    names = ("cifar-10-batches-py", "cifar-10-python", "cifar-10-batches-py-target", "cifar-10-batches-py.tar.gz")
    found = find(path, names, "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz")
    train, test = read_photographs(found, [[f"data_batch_{k}" for k in range(1, 6)], ["test_batch"]], "labels")
    return train, test
