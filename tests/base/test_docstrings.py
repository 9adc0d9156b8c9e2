"""Sections that a family of classes shares."""

from __future__ import annotations

import inspect

import nbnet as nb
from nbnet.base.docstrings import join_common_sections


def ours(doc: str) -> type:
    return type("Thing", (), {"__doc__": doc, "__module__": "nbnet.examples"})


def test_entries_join_the_sections_that_are_there() -> None:
    thing = ours(
        """Do.

        Parameters
        ----------
        a, b : int
            Two numbers.

        References
        ----------
        A paper.
        """
    )
    first, last = "c : int\n    A number.\nb : int\n    Documented already.", "d : int\n    A last number."
    join_common_sections(thing, first=first, last=last, raises="ValueError\n    If it fails.")
    assert inspect.getdoc(thing) == inspect.cleandoc(
        """Do.

        Parameters
        ----------
        c : int
            A number.
        a, b : int
            Two numbers.
        d : int
            A last number.

        Raises
        ------
        ValueError
            If it fails.

        References
        ----------
        A paper.
        """
    )


def test_other_classes_are_left_alone() -> None:
    class Mine(nb.losses.MeanSquaredError):
        """My loss."""

    assert Mine.__doc__ == "My loss."


def test_help_is_complete() -> None:
    for kind in (nb.losses.Poisson, nb.metrics.AUC, nb.optimizers.AdamW, nb.optimizers.schedules.OneCycle):
        doc = inspect.getdoc(kind) or ""
        assert doc.count("\nParameters\n") == 1
        for name in list(inspect.signature(kind).parameters):
            assert name in doc, (kind, name)
