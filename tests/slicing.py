"""Cutting batches of networks that are too small for it to pay."""

from __future__ import annotations

import pytest

from nbnet.train import step_builder


def always_cut(monkeypatch: pytest.MonkeyPatch, rows: int = 1) -> None:
    """Let there be as many slices as processors, of so many rows at least."""
    monkeypatch.setattr(step_builder, "slices_for", lambda draft, have, most: max(1, min(most, have // rows)))
