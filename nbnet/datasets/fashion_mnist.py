"""Fashion-MNIST: pictures of clothes, 60000 images of 28 by 28 pixels for training and 10000 for tests."""

from __future__ import annotations

from os import PathLike

from nbnet.datasets.idx import Split, load


def load_data(path: str | PathLike[str] | None = None) -> Split:
    """Fashion-MNIST: pictures of clothes.

    Parameters
    ----------
    path
        See :func:`nbnet.datasets.mnist.load_data`; the folder in ``NBNET_DATA`` is ``fashion_mnist``.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        uint8: images (n, 28, 28) from 0 to 255, and labels (n,). T-shirt, trouser, pullover, dress, coat, sandal,
        shirt, sneaker, bag, boot: 0 to 9.

    Raises
    ------
    OSError, ValueError
        See :func:`nbnet.datasets.mnist.load_data`.

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
    FileNotFoundError: nowhere is not a folder; expected one with the four files ...
    """
    return load("fashion_mnist", "Fashion-MNIST", path)
