"""With ``NBNET_CHECK=1`` a kernel that leaves its operands is an error that names it; without, nothing changes."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import numpy as np
import pytest

from nbnet.engine.jit import compiler
from nbnet.engine.jit.function import CHECKED
from nbnet.engine.jit.linker import DISABLE_JIT
from nbnet.engine.kernels import executor, layout
from nbnet.engine.runtime.program import Buffer, plan_memory
from nbnet.ops.dense import DENSE
from tests.engine.processes import python, start
from tests.security import broken_kernels, checked_trainings

pytestmark = pytest.mark.skipif(DISABLE_JIT, reason="tests compiled code")
plain_only = pytest.mark.skipif(CHECKED, reason="tests code without checks")

#: By kernel: what the error says after the name of the kernel.
MESSAGES = {
    "writes_past_the_end": r"operand 1 \('b' float\d\d \(5,\)\): index 5 is out of bounds for 5 elements",
    "reads_past_the_end": r"operand 0 \('a' .*\): index 5 is out of bounds for 5 elements",
    "reads_before_the_beginning": r"operand 0 \('a' .*\): index -1 is out of bounds for 5 elements",
    "index_counts_from_the_end": r"operand 0 \('a' .*\): index -1 is out of bounds for 5 elements",
    "column_runs_into_the_next_row": r"operand 0 \('a' .*\): index 4 is out of bounds for 4 elements",
    "unsigned_index_wraps": r"operand 0 \('a' .*\): index -1 is out of bounds for 5 elements",
    "slice_starts_before": r"operand 0 \('a' .*\): a slice begins or ends at -1, out of bounds for 5 elements",
    "reads_an_attribute_that_no_row_has": "the kernel uses attribute 17, out of bounds for the 17 of a row",
    "attribute_leaves_the_operand": r"operand 0 \('a' .*\): index 9 is out of bounds for 5 elements",
    "reads_an_operand_that_no_row_has": "the kernel uses operand 14, out of bounds for the 14 of a row",
    "reads_an_absent_operand": "index 0 is out of bounds for 0 elements",
    "adds_to_what_was_not_written": r"operand 1 \('b' .*\): the kernel reads memory before it is written",
    "computes_from_what_was_not_written": r"operand 2 \('c' .*\): the kernel reads memory before it is written",
    "leaves_the_last_unwritten": r"operand 1 \('b' .*\): .* leaves a part of this result unwritten",
    "writes_to_what_it_reads": r"operand 0 \('a' .*\): the kernel writes to an operand that it only reads",
    "writes_behind_by_pointer": r"operand 1 \('b' .*\): the kernel writes behind it",
    "writes_before_by_pointer": r"operand 1 \('b' .*\): the kernel writes before it",
    "reads_behind_by_pointer": r"operand 2 \('c' .*\): the kernel reads memory before it is written",
    "product_of_other_lengths": r"operand 1 \('b' .*\): a product of matrices needs 4 rows or columns here, got 5",
    "product_with_too_few_rows": r"operand 1 \('b' .*\): a product of matrices needs 4 rows or columns here, got 3",
    "product_of_too_many_rows": r"operand 0 \('a' .*\): a product of matrices needs 5 rows or columns here, got 3",
    "turned_product_of_too_many_rows": r"operand 0 \('a' .*\): a product of matrices needs 5 .* here, got 4",
    "product_with_too_few_turned_rows": r"operand 1 \('b' .*\): a product of matrices needs 3 .* here, got 2",
    "outer_product_of_too_many_columns": r"operand 0 \('a' .*\): the kernel uses 9 elements, out of bounds for 8",
    "sums_into_too_few": r"operand 1 \('b' .*\): the kernel uses 8 elements, out of bounds for 7",
    "fills_from_too_few": r"operand 0 \('a' .*\): the kernel uses 8 elements, out of bounds for 7",
    "block_of_too_many": r"operand 1 \('b' .*\): the kernel uses 9 elements, out of bounds for 6",
    "compresses_into_too_few": r"operand 2 \('c' .*\): a mask keeps 20 elements, out of bounds for 19",
    "compresses_with_a_short_mask": r"operand 0 \('a' .*\): the kernel uses 20 elements, out of bounds for 19",
    "expands_from_too_few": r"operand 1 \('b' .*\): a mask keeps 20 elements, out of bounds for 19",
    "puts_back_from_too_few": r"operand 1 \('b' .*\): the kernel uses 20 elements, out of bounds for 19",
    "reads_bytes_as_reals": r"operand 0 \('a' uint8 .*\): the kernel sees \d+ bytes, out of bounds for the 20 ",
    "reads_bytes_as_integers": r"operand 0 \('a' uint8 .*\): the kernel sees 160 bytes, out of bounds for the 20 ",
    "writes_into_the_next_buffer": r"operand 1 \('b' .*\): the kernel writes behind it",
    "writes_into_the_neighbour": r"operand 1 \('b' .*\): the kernel writes behind it",
}


@functools.cache
def printed(module: str) -> Any:
    """The output and exit status of a module's main function in a process with checks; the first run compiles."""
    process = start(f"from tests.security.{module} import main; main()", NBNET_CHECK="1", NUMBA_DISABLE_JIT=None)
    out, err = process.communicate(timeout=900)
    return json.loads(out) if process.returncode == 0 else {"error": err}


def said() -> dict[str, str]:
    """The errors of the broken kernels, all in one process, which none of them ends."""
    answers: dict[str, str] = printed("broken_kernels")
    assert "error" not in answers, answers["error"]
    return answers


def test_every_broken_kernel_has_a_message() -> None:
    assert broken_kernels.CASES.keys() == MESSAGES.keys()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", MESSAGES)
def test_a_broken_kernel_is_named(name: str, dtype: str) -> None:
    """The error names the node, the kernel, the step, the operand and the index, and the row if there are several."""
    node, where, step = ("second", " in row 1", 5) if name == "writes_into_the_next_buffer" else ("node", "", 7)
    found = said()[f"{name}-{np.dtype(dtype)}"]
    begin = f"KernelError: '{node}', kernel {name}{where}, step {step}: "
    assert found.startswith(begin)
    assert re.match(MESSAGES[name], found.removeprefix(begin))


SHIFT = """
import numpy as np
import nbnet as nb
from nbnet.engine.graph.op import Op
from nbnet.engine.graph.tensor import apply
from nbnet.engine.jit.linker import KernelError
from nbnet.engine.kernels.abi import accumulates, kernel, vec

@kernel
def shift_forward(mem, ins, step):
    x, by, y = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)
    for i in range(y.size):
        y[i] = x[i + int(by[0])]

@kernel
def shift_backward(mem, ins, step):
    by, dy, dx = vec(mem, ins, 0), vec(mem, ins, 1), vec(mem, ins, 2)
    for i in range(dx.size):
        dx[i] = dx[i] + dy[i + int(by[0])] if accumulates(ins, 2) else dy[i + int(by[0])]

SHIFT = Op("shift", shift_forward, ("x", "by"), backward=shift_backward, gradient=("by", "dy", "dx"))

class Shift(nb.layers.Layer):
    def build(self, shape):
        self.by = self.add_weight(shape=(1,), initializer="zeros", trainable=False, name="by")

    def call(self, x):
        return apply(SHIFT, x, self.by)

def made():
    nb.set_random_seed(1)
    model = nb.Sequential([nb.Input((6,)), nb.layers.Dense(5, "relu"), Shift(name="moved"), nb.layers.Dense(1)])
    model.compile("sgd", "mse", slices={slices})
    return model

x = np.random.default_rng(0).normal(size=(24, 6)).astype("float32")
y = x[:, :1]
plain, model = made(), made()
before = model.get_weights()
model.layers[1].set_weights([np.array([{by}], "float32")])
try:
    model.fit(x, y, batch_size=8, verbose=0, shuffle=False)
except KernelError as error:
    print(error)
try:
    model.predict(x, verbose=0)
except KernelError as error:
    print(error)
model.set_weights(before)
again = model.fit(x, y, batch_size=8, verbose=0, shuffle=False, epochs=2)
fresh = plain.fit(x, y, batch_size=8, verbose=0, shuffle=False, epochs=2)
print(again.history == fresh.history)
"""


@pytest.mark.parametrize(("by", "slices"), [(1, 1), (-3, 2), (10**6, 1)])
def test_a_model_is_usable_after_an_error(by: int, slices: int) -> None:
    """An op reads out of bounds because of a number in memory, in training and prediction; then it no longer does."""
    fit, predict, same = python(
        SHIFT.format(by=by, slices=slices), NBNET_CHECK="1", NUMBA_DISABLE_JIT=None
    ).splitlines()  # fmt: skip
    assert fit.startswith("'moved', kernel shift_forward in row ")
    assert predict.startswith("'moved', kernel shift_forward in row ")
    assert ", step 0: operand 0 (" in fit
    assert " elements" in predict
    assert same == "True"


def checked_numbers() -> dict[str, list[float]]:
    numbers: dict[str, list[float]] = printed("checked_trainings")
    assert "error" not in numbers, numbers["error"]
    return numbers


@plain_only
@pytest.mark.parametrize("name", checked_trainings.CASES)
def test_trainings_give_the_same_numbers(name: str) -> None:
    """Sums that no longer vectorise have another order."""
    np.testing.assert_allclose(checked_numbers()[name], checked_trainings.CASES[name](), rtol=1e-4)


def environment(check: str | None) -> str:
    return python("from nbnet.engine.jit.compiler import environment; print(environment())", NBNET_CHECK=check)


def test_checked_and_plain_objects_have_different_names() -> None:
    plain = environment(None)
    assert plain == environment("0") == environment("")
    assert environment("1") == environment("yes") != plain


@plain_only
@pytest.mark.parametrize("kernel", [DENSE.forward, DENSE.backward])
def test_plain_code_has_no_checks(kernel: Any) -> None:
    assert "nbnet_fault" not in str(compiler._module(kernel, np.dtype(np.float32), "nbnet_plain"))


@plain_only
def test_plain_memory_has_no_red_zones() -> None:
    assert layout.WIDTH == 64
    assert not executor.ROW_BY_ROW
    assert executor.empty is np.empty
    assert plan_memory([Buffer(64, 0, 1), Buffer(64, 2, 3), Buffer(64, 3, 3)]).nbytes == 128


def test_checked_memory_is_never_reused_and_has_red_zones() -> None:
    script = """
    from nbnet.engine.kernels.layout import RED_ZONE
    from nbnet.engine.runtime.program import Buffer, plan_memory
    offsets = sorted(plan_memory([Buffer(64, 0, 1), Buffer(64, 2, 3), Buffer(64, 3, 3)]).offsets)
    print(RED_ZONE >= 64, [b - a - 64 == RED_ZONE for a, b in zip(offsets, offsets[1:])])
    """
    assert python(script, NBNET_CHECK="1") == "True [True, True]"
