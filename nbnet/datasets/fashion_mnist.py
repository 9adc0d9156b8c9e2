"""Fashion-MNIST: pictures of clothes, 60000 images of 28 by 28 pixels for training and 10000 for tests."""

from __future__ import annotations

from os import PathLike

from nbnet.datasets.mnist_form import Split, load


def load_data(path: str | PathLike[str] | None = None) -> Split:
    """Fashion-MNIST: pictures of clothes.

    Parameters
    ----------
    path
        A folder with the four IDX files (see :func:`nbnet.datasets.load_mnist`), or an ``.npz`` file with the arrays
        x_train, y_train, x_test and y_test. Without it the folder that the environment variable ``NBNET_DATA`` names is
        searched: for a folder ``fashion_mnist`` in it, then for the files themselves. Then scikit-learn fetches the
        data from OpenML, once: it keeps a copy.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        uint8: images (n, 28, 28) from 0 to 255, and labels (n,). T-shirt, trouser, pullover, dress, coat, sandal,
        shirt, sneaker, bag, boot: 0 to 9.

    Raises
    ------
    FileNotFoundError
        If a path is given and nothing is there.
    OSError
        If no path is given and the data can neither be found nor fetched.
    ValueError
        If a file is damaged.

    References
    ----------
    H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms.
    arXiv:1708.07747, 2017.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.datasets.fashion_mnist.load_data("nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: nowhere is not a folder; wanted is one with the four files ...
    """
    return load("fashion_mnist", "Fashion-MNIST", path)
