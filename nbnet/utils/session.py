"""Starting over in one process."""

from __future__ import annotations

from nbnet.layers.layer import clear_names


def clear_session(free_memory: bool = True) -> None:
    """Count the names of layers from the start again: the next Dense is called ``dense``.

    Models that exist go on working; there is no graph behind them to be cleared.

    Parameters
    ----------
    free_memory
        Whether to collect garbage, too.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.utils.clear_session(free_memory=False)
    >>> nb.layers.Dense(1).name, nb.layers.Dense(1).name
    ('dense', 'dense_1')
    """
    clear_names()
    if free_memory:
        import gc

        gc.collect()
