"""scikit-learn's own tests of its networks, run against ours: only the import is another one.

They are read from the package that is installed. Each is a test of this module, under its own name.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import sklearn

from nbnet import estimators
from nbnet.engine.jit import linker
from nbnet.estimators.mlp import MLP
from nbnet.estimators.solvers import FullBatchLoss

REPLACED, OURS = "sklearn.neural_network", "nbnet.estimators"

#: Tests that fail, and why.
FAILING = {
    "test_gradient": "calls a private method; test_gradient_of_lbfgs asks the same of ours",
}
#: Tests whose networks are told to compute in the dtype that the test is for: by default they do not ask X.
IN_DTYPE_OF_X = {"test_mlp_param_dtypes"}
#: Tests that read how many epochs went by without improvement, which is private, and has another name here.
COUNT = "_no_improvement_count"
READ_COUNT = {"test_n_iter_no_change", "test_n_iter_no_change_inf"}

if linker.DISABLE_JIT:
    pytest.skip("trains for thousands of epochs, too many without compiled kernels", allow_module_level=True)


def find() -> Path:
    """The file of the installed package."""
    found = importlib.util.find_spec(REPLACED)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "tests" / "test_mlp.py"


def load(path: Path) -> ModuleType:
    """The tests in a file, with our networks in place of scikit-learn's."""
    tree, replaced = ast.parse(path.read_text(encoding="utf-8")), []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == REPLACED:
            node.module = OURS
            replaced += [alias.name for alias in node.names]
    assert {"MLPClassifier", "MLPRegressor"} <= set(replaced)
    module = ModuleType("sklearn_test_mlp")
    exec(compile(tree, path, "exec"), vars(module))
    return module


if not find().is_file():
    pytest.skip(f"scikit-learn {sklearn.__version__} is installed without its tests", allow_module_level=True)

THEIRS = load(find())
TESTS = {name: value for name, value in vars(THEIRS).items() if name.startswith("test_")}
globals().update(TESTS)

# There, warnings are no errors.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def global_random_seed() -> int:
    """scikit-learn's, where no other one is asked for."""
    return 42


@pytest.fixture(autouse=True)
def as_listed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Apply the tables at the top to a test, and make draws without a seed repeatable."""
    name = request.node.originalname
    if name in FAILING:
        request.applymarker(pytest.mark.xfail(strict=True, reason=FAILING[name]))
    if name in IN_DTYPE_OF_X:
        dtype = np.dtype(request.node.callspec.params["dtype"]).name
        for kind in (estimators.MLPClassifier, estimators.MLPRegressor):
            monkeypatch.setitem(kind.__init__.__kwdefaults__, "dtype", dtype)
    if name in READ_COUNT:
        monkeypatch.setattr(
            MLP, COUNT, property(lambda network: network._convergence.no_improvement_count), raising=False
        )
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    yield
    np.random.set_state(state)  # noqa: NPY002


def test_ours_are_tested() -> None:
    assert THEIRS.MLPClassifier is estimators.MLPClassifier
    assert THEIRS.MLPRegressor is estimators.MLPRegressor
    assert len(TESTS) > 30


def test_tables_name_tests_that_exist() -> None:
    assert set(FAILING) | IN_DTYPE_OF_X | READ_COUNT <= set(TESTS)
    assert not hasattr(MLP, COUNT)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("classes", [2, 3])
def test_gradient_of_lbfgs(classes: int, activation: str) -> None:
    rng = np.random.default_rng(42)
    X, y = rng.random((5, 10)), np.arange(5) % classes
    network = estimators.MLPClassifier(10, activation, solver="lbfgs", max_iter=1, alpha=0.1, random_state=1).fit(X, y)
    data = network._fit_data(X, y, None, None, False, True)
    loss = network._objective(data.targets, None)
    loss.alpha, loss.kernels = network.alpha, [layer.kernel for layer in network._dense]
    objective = FullBatchLoss(network.model_, loss, data.rows("float64"))
    x = objective.parameters
    found, step = objective(x)[1], 1e-5
    shifts = step * np.eye(len(x))
    np.testing.assert_allclose(
        found, [(objective(x + shift)[0] - objective(x - shift)[0]) / (2 * step) for shift in shifts], atol=1e-8
    )
    assert np.abs(found).max() > 0.01
