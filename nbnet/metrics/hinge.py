"""Hinge losses as metrics."""

from __future__ import annotations

from nbnet import losses
from nbnet.metrics.reduction import NamedLoss


class Hinge(NamedLoss):
    """Mean of the hinge loss; targets are -1 or 1, and 0 counts as -1.

    Parameters
    ----------
    name
        See :class:`Metric`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.Hinge()([[0.0], [1.0]], [[0.5], [0.5]])
    1.0
    """

    name = "hinge"
    kind = losses.Hinge


class SquaredHinge(NamedLoss):
    """Mean of the squared hinge loss; targets are -1 or 1, and 0 counts as -1.

    Parameters
    ----------
    name
        See :class:`Metric`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.SquaredHinge()([[0.0], [1.0]], [[0.5], [0.5]])
    1.25
    """

    name = "squared_hinge"
    kind = losses.SquaredHinge


class CategoricalHinge(NamedLoss):
    """Mean of the categorical hinge loss; targets are one-hot.

    Parameters
    ----------
    name
        See :class:`Metric`.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.metrics.CategoricalHinge()([[0.0, 1.0]], [[0.5, 0.25]])
    1.25
    """

    name = "categorical_hinge"
    kind = losses.CategoricalHinge
