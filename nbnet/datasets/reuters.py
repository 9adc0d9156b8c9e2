"""Reuters: newswires as numbers of words, 11228 of 46 topics."""

from __future__ import annotations

from nbnet.datasets.keras_files import FilePath, Split, find, read_texts, read_word_index


def load_data(
    path: FilePath = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> Split:
    """Reuters: newswires as numbers of words.

    Parameters
    ----------
    path
        Keras's file ``reuters.npz``; looked for in the folder that the environment variable ``NBNET_DATA`` names, and
        in ``~/.keras/datasets``. Nothing in it is run.
    num_words, skip_top, maxlen
        See :func:`nbnet.datasets.imdb.load_data`.
    test_split
        Share of the texts in the test set.
    seed, start_char, oov_char, index_from
        See :func:`nbnet.datasets.imdb.load_data`.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Arrays of lists of int, and labels: topics, 0 to 45.

    Raises
    ------
    FileNotFoundError
        If there is no such file: nothing is fetched.
    ValueError
        If the file is damaged, or no text is left.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.datasets.reuters.load_data("nowhere.npz")
    Traceback (most recent call last):
        ...
    FileNotFoundError: nowhere.npz: nothing is fetched: get it from ...
    """
    kept = (num_words, skip_top, maxlen, start_char, oov_char, index_from)
    return read_texts(find(path, ["reuters.npz"]), kept, seed, test_split)


def get_word_index(path: FilePath = "reuters_word_index.json") -> dict[str, int]:
    """Return the rank of each word among all; ``index_from`` of :func:`load_data` is not added.

    Parameters
    ----------
    path
        Keras's file ``reuters_word_index.json``, looked for as :func:`load_data` says.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.datasets.reuters.get_word_index("nowhere.json")
    Traceback (most recent call last):
        ...
    FileNotFoundError: nowhere.json: nothing is fetched: get it from ...
    """
    return read_word_index(find(path, ["reuters_word_index.json"]))


def get_label_names() -> tuple[str, ...]:
    """Return the names of the topics.

    Examples
    --------
    >>> import nbnet as nb
    >>> len(nb.datasets.reuters.get_label_names()), nb.datasets.reuters.get_label_names()[3]
    (46, 'earn')
    """
    return tuple(_TOPICS.split())


_TOPICS = """cocoa grain veg-oil earn acq wheat copper housing money-supply coffee sugar trade reserves ship cotton
    carcass crude nat-gas cpi money-fx interest gnp meal-feed alum oilseed gold tin strategic-metal livestock retail ipi
    iron-steel rubber heat jobs lei bop zinc orange pet-chem dlr gas silver wpi hog lead"""
