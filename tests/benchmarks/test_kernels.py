"""The table of kernels has a line for each, and every op can be timed."""

from __future__ import annotations

import pytest

from benchmarks import kernels
from benchmarks.kernel_cases import calls as kernel_calls
from benchmarks.kernel_cases.inputs import RECIPES
from nbnet.engine.graph.op import Op

OPS = kernel_calls.ops()


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_op_is_given_something(op: Op) -> None:
    for found in kernel_calls.of_op(op, "float32", 16, 64):
        assert len(found) == (1 if op.backward is None else 2)
        assert all(one.elements > 0 and one.nbytes > 0 for one in found)


def test_nothing_is_given_to_ops_that_are_not_there() -> None:
    assert sorted(set(RECIPES) - {op.name for op in OPS}) == []


@pytest.mark.parametrize("name", kernel_calls.OPTIMIZERS)
def test_every_optimizer_is_given_something(name: str) -> None:
    assert all(one.elements >= 1024 for one in kernel_calls.of_optimizer(name, "float64", 1024))


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    kernels.main(["relu6", "matmul", "sgd momentum", "store", "--quick"])
    lines = capsys.readouterr().out.splitlines()
    wanted = ["relu6 forward", "relu6 backward", "matmul forward *", "sgd_momentum, sgd momentum", "store"]
    for name in wanted:
        assert sum(line.startswith(name + "  ") for line in lines) == 1


def test_the_farthest_from_its_limit_comes_first() -> None:
    found = kernels.run(["relu6"], "float64", 8, 64, 1, 1e-6)
    assert len(found) == 2
    assert found[0].times >= found[1].times
    assert all(one.per_element > 0 and one.work > 0 for one in found)
    assert len(kernels.table(found).splitlines()) == 3


def test_unknown_names_are_an_error() -> None:
    with pytest.raises(ValueError, match="no kernel has a name with one of"):
        kernels.run(["nothing of that name"], "float32", 8, 64, 1, 1e-6)


@pytest.mark.parametrize("arguments", [["--rounds", "0"], ["--columns", "0"], ["--dtype", "float16"]])
def test_arguments_are_checked(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        kernels.main(arguments)
