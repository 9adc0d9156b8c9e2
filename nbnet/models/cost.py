"""How many slices pay: what a step takes, by a model of it.

Nothing is timed when a program is written, so the choice, and with it the last bits of results, is the same in every
process. ``python -m benchmarks.slices`` measured the constants and shows where the choice is wrong.
"""

from __future__ import annotations

from typing import NamedTuple

from nbnet.core.graph import Call
from nbnet.models.batch import Draft
from nbnet.ops.window import COLUMNS, ROWS

#: Nanoseconds on one thread: of a call, a multiply-add in a product of matrices, an element of any other operand (four
#: bytes), an element of a window that is pooled, and the update of a parameter.
CALL, MULTIPLY_ADD, ELEMENT, POOLED, UPDATE = 30.0, 0.0128, 0.16, 2.3, 0.42
#: The same, on all threads together, of a parameter that comes from beyond the second cache.
RELEASED = 0.8
#: Nanoseconds that more threads cost: to start them, meet in a step, and in a step of training once more, where each
#: reads what others have written; a call that each of them makes; an element of the weights that each of them reads;
#: the gradients of a parameter that are added up.
START, MEET, MEET_TRAINING, REPEATED_CALL, REPEATED_ELEMENT, ADD = 80_000.0, 1000.0, 3000.0, 70.0, 0.05, 0.5
#: Memory, and what processors share besides, make each of several threads slower by so much.
CROWDED = 1.17
#: Steps that threads are started for, at least: in training, and else, where there may be one batch and no other.
TRAINING_STEPS, STEPS = 32, 4
#: Threads that save less are left to others.
LEAST_GAIN = 0.1

_POOLS = ("max_pool", "average_pool")


class Work(NamedTuple):
    """What a step consists of.

    Attributes
    ----------
    calls, multiply_adds, elements, pooled
        Of the batch.
    constant
        Elements of what is no part of the batch: weights, and their gradients.
    updated, released
        Parameters that are updated, and those of them whose gradients are nowhere as a whole: see
        :mod:`nbnet.models.release`.
    """

    calls: int
    multiply_adds: int
    elements: int
    pooled: int
    constant: int
    updated: int
    released: int

    @classmethod
    def of(cls, draft: Draft) -> Work:
        """That of a draft of one slice."""
        calls = [call for phase in draft.phases for call in phase[0]]
        pools = [call for call in calls if call.kernel.name.startswith(_POOLS)]
        operands = [t for call in draft.phases[0][0] for t in call.operands if t is not None]
        return cls(
            calls=len(calls),
            multiply_adds=sum(call.multiply_adds for call in calls) * draft.dtype.itemsize // 4,
            elements=sum(t.nbytes for t in operands if t.data is None) // 4,
            pooled=sum(_windows(call) for call in pools),
            constant=sum(t.nbytes for t in operands if t.data is not None) // 4,
            updated=draft.updated,
            released=draft.released,
        )

    def starting(self, slices: int) -> float:
        """A step's share of the nanoseconds that it takes to start threads."""
        return (slices - 1) * START / (TRAINING_STEPS if self.updated else STEPS)

    def nanoseconds(self, slices: int) -> float:
        """What a step takes."""
        batch = MULTIPLY_ADD * self.multiply_adds + ELEMENT * self.elements + POOLED * self.pooled
        added, calls = self.updated - self.released, CALL * self.calls
        update, fetch = UPDATE * added, RELEASED * self.released
        if slices == 1:
            return calls + batch + update + fetch
        meeting = (slices - 1) * (MEET + MEET_TRAINING if self.updated else MEET)
        more = REPEATED_CALL * self.calls + REPEATED_ELEMENT * self.constant + ADD * added + fetch
        return self.starting(slices) + meeting + calls + more + (CROWDED * batch + update) / slices

    def best(self, most: int) -> int:
        """The number of slices that takes least, up to some number, if it saves enough."""
        found = min(range(1, most + 1), key=self.nanoseconds)
        return found if self.nanoseconds(found) <= (1 - LEAST_GAIN) * self.nanoseconds(1) else 1


def _windows(call: Call) -> int:
    """Elements of all windows."""
    return min(t.size for t in call.operands if t is not None) * call.attributes[ROWS] * call.attributes[COLUMNS]


def slices_for(draft: Draft, rows: int, most: int) -> int:
    """How many slices are to share the work of a draft of one slice.

    Parameters
    ----------
    draft
        Of one slice.
    rows
        Of the batch.
    most
        Processors that there are.
    """
    most = min(rows, most)
    return Work.of(draft).best(most) if most > 1 else 1
