"""MNIST: handwritten digits, 60000 images of 28 by 28 pixels for training and 10000 for tests."""

from __future__ import annotations

from os import PathLike

from nbnet.datasets.idx import Split, load


def load_data(path: str | PathLike[str] | None = None) -> Split:
    """MNIST: handwritten digits.

    Parameters
    ----------
    path
        A folder with the four IDX files (see :func:`nbnet.datasets.load_mnist`), or an ``.npz`` file with the arrays
        x_train, y_train, x_test and y_test. By default a folder ``mnist``, or the files themselves, in the folder that
        the environment variable ``NBNET_DATA`` names, or Keras's copy in ``~/.keras/datasets``; otherwise scikit-learn
        fetches the data from OpenML once and keeps a copy.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        uint8: images (n, 28, 28) from 0 to 255, and labels (n,). Digits 0 to 9.

    Raises
    ------
    FileNotFoundError
        If a path is given and there is no file.
    OSError
        If no path is given and the data can neither be found nor fetched.
    ValueError
        If a file is damaged.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document recognition. Proceedings
    of the IEEE 86(11), 1998.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.datasets.mnist.load_data("nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: nowhere is not a folder; expected one with the four files ...
    """
    return load("mnist", "mnist_784", path)
