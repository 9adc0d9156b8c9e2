"""Inputs, targets and weights as the tuple that a ``train_step`` is given."""

from __future__ import annotations

from typing import Any


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """Inputs, targets and sample weights of a batch; None for what it lacks.

    Parameters
    ----------
    data
        ``x``, ``(x,)``, ``(x, y)`` or ``(x, y, sample_weight)``.

    Raises
    ------
    ValueError
        If the tuple has more parts, or none.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.utils.unpack_x_y_sample_weight(([1.0], [2.0]))
    ([1.0], [2.0], None)
    """
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ValueError(f"data: wants x, (x, y) or (x, y, sample_weight), got a tuple of {len(data)}")
    x, y, sample_weight = (*data, None, None)[:3]
    return x, y, sample_weight


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """A batch of inputs, targets and sample weights; what is None at the end is left out.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.utils.pack_x_y_sample_weight([1.0], [2.0])
    ([1.0], [2.0])
    """
    if y is None:
        return x if not isinstance(x, (list, tuple)) else (x,)
    return (x, y) if sample_weight is None else (x, y, sample_weight)
