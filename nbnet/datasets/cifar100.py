"""CIFAR-100: photographs of a hundred kinds of things, 50000 of 32 by 32 pixels for training and 10000 for tests."""

from __future__ import annotations

from nbnet.datasets.keras_files import FilePath, Split, find, read_photographs


def load_data(label_mode: str = "fine", path: FilePath = "cifar-100-python.tar.gz") -> Split:
    """CIFAR-100: photographs of a hundred kinds of things in twenty groups.

    Parameters
    ----------
    label_mode : {"fine", "coarse"}
        Labels are kinds, 0 to 99, or groups, 0 to 19.
    path
        The file ``cifar-100-python.tar.gz``, or a folder with ``train`` and ``test`` in it; by default looked for in
        the folder that the environment variable ``NBNET_DATA`` names, and in ``~/.keras/datasets``. Nothing in it is
        run.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        uint8: images (n, 32, 32, 3) from 0 to 255; labels (n, 1).

    Raises
    ------
    FileNotFoundError
        If there is no such file: nothing is fetched.
    ValueError
        If a file is damaged, or label_mode is another word.

    References
    ----------
    A. Krizhevsky: Learning multiple layers of features from tiny images. Technical report, 2009.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.datasets.cifar100.load_data(path="nowhere.tar.gz")
    Traceback (most recent call last):
        ...
    FileNotFoundError: nowhere.tar.gz: nothing is fetched: get it from ...
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f"label_mode: expected 'fine' or 'coarse', got {label_mode!r}")
    names = ("cifar-100-python", "cifar-100-python-target")
    found = find(path, names, "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz")
    train, test = read_photographs(found, [["train"], ["test"]], f"{label_mode}_labels")
    return train, test
