"""Hinge losses as metrics."""

from __future__ import annotations

from typing import Any

from nbnet import losses
from nbnet.metrics.reduction import MeanLoss


class Hinge(MeanLoss):
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

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.Hinge(), name or type(self).name)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


class SquaredHinge(MeanLoss):
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

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.SquaredHinge(), name or type(self).name)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}


class CategoricalHinge(MeanLoss):
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

    def __init__(self, name: str | None = None) -> None:
        super().__init__(losses.CategoricalHinge(), name or type(self).name)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}
