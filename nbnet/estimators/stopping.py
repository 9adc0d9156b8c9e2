"""When to stop, as scikit-learn's networks do: tolerance, patience, and what becomes of the learning rate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: The adaptive learning rate is not lowered below this.
LEAST_RATE = 1e-6


@dataclass
class Progress:
    """What is known of a training so far; it goes on with ``warm_start`` and ``partial_fit``.

    Attributes
    ----------
    early
        Whether scores of validation decide, and not training losses.
    losses, validation_losses, scores
        After each epoch.
    best_loss, best_score
        Of all epochs.
    unchanged
        Consecutive epochs without an improvement of ``tol``.
    weights
        Of the epoch with the best score.
    """

    early: bool
    losses: list[float] = field(default_factory=list)
    validation_losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    best_loss: float = np.inf
    best_score: float = -np.inf
    unchanged: int = 0
    weights: Any = None

    def add_loss(self, loss: float, tol: float) -> None:
        """An epoch has ended with this training loss."""
        self.losses.append(loss)
        if self.early:
            return
        self.unchanged = self.unchanged + 1 if loss > self.best_loss - tol else 0
        # Not min(): a loss that is not a number is no best one.
        self.best_loss = loss if loss < self.best_loss else self.best_loss

    def add_score(self, score: float, loss: float, tol: float) -> bool:
        """An epoch has ended with this score and loss of validation; returns whether the score is the best so far."""
        self.scores.append(score)
        self.validation_losses.append(loss)
        if self.early:
            self.unchanged = self.unchanged + 1 if score < self.best_score + tol else 0
        if better := score > self.best_score:
            self.best_score = score
        return better

    def reason(self, tol: float, patience: float) -> str:
        """Why to stop; nothing if training may go on."""
        if self.unchanged <= patience:
            return ""
        what = "Validation score" if self.early else "Training loss"
        return f"{what} did not improve more than tol={tol:f} for {patience} consecutive epochs."


@dataclass
class Rates:
    """The learning rate of an optimizer, by scikit-learn's policies.

    Parameters
    ----------
    policy : {"constant", "invscaling", "adaptive"}
    first
        The rate to begin with.
    power
        Of "invscaling": the rate is divided by this power of the number of rows seen.
    """

    optimizer: Any
    policy: str
    first: float
    power: float

    def end_epoch(self, seen: int) -> None:
        """So many rows were seen since the first fit."""
        if self.policy == "invscaling":
            self.optimizer.learning_rate = self.first / (seen + 1) ** self.power

    def lower(self) -> str:
        """Lower the rate instead of stopping; returns what to say, nothing if training is to stop."""
        if self.policy != "adaptive" or self.optimizer.learning_rate <= LEAST_RATE:
            return ""
        self.optimizer.learning_rate /= 5.0
        return f" Setting learning rate to {self.optimizer.learning_rate:f}"

    @property
    def farewell(self) -> str:
        """What to say when training stops."""
        return " Learning rate too small. Stopping." if self.policy == "adaptive" else " Stopping."
