"""``y = table[step % n]``: rows of a table take turns, a step each."""

from __future__ import annotations

from typing import Any

from nbnet.core.abi import kernel, mat, vec
from nbnet.core.graph import Tensor
from nbnet.core.op import Op, Spec, register
from nbnet.core.tape import apply, tensor


@kernel
def take_turn_forward(mem: Any, ins: Any, step: Any) -> None:
    table, y = mat(mem, ins, 0), vec(mem, ins, 1)
    row = step % table.shape[0]
    for j in range(y.size):
        y[j] = table[row, j]


def _infer(table: Tensor) -> tuple[Spec, ...]:
    if table.ndim != 2 or not table.shape[0]:
        raise ValueError(f"take_turn: wants a table (n, c) with a row or more, got shape {table.shape}")
    return (Spec(table.shape[1:]),)


#: It draws nothing, but as those that do it is given the number of a step in any call.
TAKE_TURN = register(Op("take_turn", take_turn_forward, ("table",), infer=_infer, random=True))


def take_turn(table: Any) -> Tensor:
    """The row of a table whose turn it is: that of the step's number modulo the number of rows.

    Parameters
    ----------
    table
        (n, c); no gradient flows to it.

    Raises
    ------
    ValueError
        If it is no table.

    Examples
    --------
    >>> import nbnet as nb
    >>> with nb.Tape(step=5):
    ...     y = nb.ops.take_turn([[1.0, 2.0], [3.0, 4.0]])
    >>> y.numpy()
    array([3., 4.], dtype=float32)
    """
    return apply(TAKE_TURN, tensor(table), key=0)  # type: ignore[no-any-return]
