"""IMDB: film reviews as numbers of words, 25000 for training and 25000 for tests, positive or negative."""

from __future__ import annotations

from nbnet.datasets.keras_files import FilePath, Split, find, read_texts, read_word_index


def load_data(
    path: FilePath = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> Split:
    """IMDB: film reviews as numbers of words.

    Parameters
    ----------
    path
        Keras's file ``imdb.npz``; looked for in the folder that the environment variable ``NBNET_DATA`` names, and
        in ``~/.keras/datasets``. Nothing in it is run.
    num_words, skip_top
        Words from ``skip_top`` up to ``num_words``, by their rank, are kept; others become ``oov_char``, or are left
        out if that is None.
    maxlen
        Longer texts are left out.
    seed
        Of the shuffle, which is that of Keras.
    start_char
        Number at the start of each text; None for none.
    oov_char
        Number of words that are not kept.
    index_from
        Added to the numbers of words.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Arrays of lists of int, and labels: 1 for a positive review, 0 for a negative one.

    Raises
    ------
    FileNotFoundError
        If there is no such file: nothing is fetched.
    ValueError
        If the file is damaged, or no text is left.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.datasets.imdb.load_data("nowhere.npz")
    Traceback (most recent call last):
        ...
    FileNotFoundError: nowhere.npz: nothing is fetched: get it from ...
    """
    kept = (num_words, skip_top, maxlen, start_char, oov_char, index_from)
    return read_texts(find(path, ["imdb.npz"]), kept, seed)


def get_word_index(path: FilePath = "imdb_word_index.json") -> dict[str, int]:
    """Return the rank of each word among all; ``index_from`` of :func:`load_data` is not added.

    Parameters
    ----------
    path
        Keras's file ``imdb_word_index.json``, looked for as :func:`load_data` says.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.datasets.imdb.get_word_index("nowhere.json")
    Traceback (most recent call last):
        ...
    FileNotFoundError: nowhere.json: nothing is fetched: get it from ...
    """
    return read_word_index(find(path, ["imdb_word_index.json"]))
