"""The names of Keras 3: what strings stand for, and what is found where."""

from __future__ import annotations

import importlib
import pkgutil
import re

import pytest

import nbnet as nb

#: Classes by all the strings that Keras knows them by, besides the class's name and that in snake case.
LOSSES = {
    "BinaryCrossentropy": "bce BCE",
    "BinaryFocalCrossentropy": "",
    "CategoricalCrossentropy": "",
    "CategoricalFocalCrossentropy": "",
    "CategoricalHinge": "",
    "CosineSimilarity": "",
    "Hinge": "",
    "Huber": "",
    "KLDivergence": "kl_divergence kld KLD",
    "LogCosh": "",
    "MeanAbsoluteError": "mae MAE",
    "MeanAbsolutePercentageError": "mape MAPE",
    "MeanSquaredError": "mse MSE",
    "MeanSquaredLogarithmicError": "msle MSLE",
    "Poisson": "",
    "SparseCategoricalCrossentropy": "",
    "SquaredHinge": "",
}
METRICS = {
    "AUC": "auc",
    "Accuracy": "",
    "BinaryAccuracy": "",
    "BinaryCrossentropy": "bce BCE",
    "BinaryIoU": "binary_io_u",
    "CategoricalAccuracy": "",
    "CategoricalCrossentropy": "",
    "CategoricalHinge": "",
    "ConcordanceCorrelation": "",
    "CosineSimilarity": "",
    "F1Score": "f1_score",
    "FBetaScore": "f_beta_score",
    "FalseNegatives": "",
    "FalsePositives": "",
    "Hinge": "",
    "KLDivergence": "kl_divergence",
    "LogCoshError": "",
    "Mean": "",
    "MeanAbsoluteError": "mae MAE",
    "MeanAbsolutePercentageError": "mape MAPE",
    "MeanSquaredError": "mse MSE",
    "MeanSquaredLogarithmicError": "msle MSLE",
    "PearsonCorrelation": "",
    "Poisson": "",
    "Precision": "",
    "R2Score": "r2_score",
    "Recall": "",
    "RootMeanSquaredError": "",
    "SparseCategoricalAccuracy": "",
    "SparseCategoricalCrossentropy": "",
    "SparseTopKCategoricalAccuracy": "sparse_top_k_categorical_accuracy",
    "SquaredHinge": "",
    "Sum": "",
    "TopKCategoricalAccuracy": "top_k_categorical_accuracy",
    "TrueNegatives": "",
    "TruePositives": "",
}
OPTIMIZERS = {name: "" for name in nb.optimizers.__all__ if name[0].isupper() and name != "Optimizer"}
INITIALIZERS = {
    "Constant": "",
    "GlorotNormal": "",
    "GlorotUniform": "",
    "HeNormal": "",
    "HeUniform": "",
    "Identity": "IdentityInitializer",
    "LecunNormal": "",
    "LecunUniform": "",
    "Ones": "one",
    "Orthogonal": "OrthogonalInitializer",
    "RandomNormal": "normal",
    "RandomUniform": "uniform",
    "STFT": "STFTInitializer",
    "TruncatedNormal": "",
    "VarianceScaling": "",
    "Zeros": "zero",
}
REGULARIZERS = {"L1": "", "L2": "", "L1L2": "l1l2", "OrthogonalRegularizer": ""}
CONSTRAINTS = {"MaxNorm": "", "MinMaxNorm": "", "NonNeg": "", "UnitNorm": ""}
ACTIVATIONS = (
    "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear "
    "log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus "
    "sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink threshold"
)
NAMED = [
    *((nb.losses, *item) for item in LOSSES.items()),
    *((nb.metrics, *item) for item in METRICS.items()),
    *((nb.optimizers, *item) for item in OPTIMIZERS.items()),
    *((nb.initializers, *item) for item in INITIALIZERS.items()),
    *((nb.regularizers, *item) for item in REGULARIZERS.items()),
    *((nb.constraints, *item) for item in CONSTRAINTS.items()),
]


def snake_case(name):
    """As Keras has it: ``KLDivergence`` is ``kl_divergence``."""
    words = re.sub(r"(\w)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


@pytest.mark.parametrize(
    ("module", "class_name", "others"), NAMED, ids=[f"{module.__name__[6:]}-{name}" for module, name, _ in NAMED]
)
def test_every_string_of_keras_finds_its_class(module, class_name, others):
    plain = class_name.lower() if module is nb.optimizers or class_name == "L1L2" else snake_case(class_name)
    wanted = getattr(module, class_name)
    names = [class_name, plain, *others.split()]
    if class_name == "Accuracy":
        names.remove("accuracy")  # which stands for the accuracy that fits the loss
    for name in names:
        found = module.get(name)
        if module is nb.losses and name != class_name:  # a function, as in Keras
            assert found is getattr(nb.losses, plain)
            found = nb.losses.as_loss(name)
        assert type(found) is wanted, name
    assert type(module.get({"class_name": class_name, "config": wanted().get_config()})) is wanted


@pytest.mark.parametrize("name", ACTIVATIONS.split())
def test_every_activation_is_found(name):
    assert nb.activations.get(name) is getattr(nb.activations, name)
    assert nb.activations.get(nb.activations.serialize(getattr(nb.activations, name))) is nb.activations.get(name)


#: Where scripts look: attributes of ``import nbnet as keras``.
PATHS = """
Input Layer Loss Metric Model Optimizer Regularizer Initializer Sequential __version__
activations.relu activations.softmax activations.get activations.serialize activations.deserialize
backend.clear_session backend.epsilon backend.floatx backend.set_floatx backend.image_data_format backend.backend
callbacks.Callback callbacks.CSVLogger callbacks.EarlyStopping callbacks.LambdaCallback callbacks.ProgbarLogger
callbacks.LearningRateScheduler callbacks.ReduceLROnPlateau callbacks.TensorBoard callbacks.TerminateOnNaN
callbacks.CallbackList config.floatx config.set_floatx config.epsilon config.backend config.image_data_format
constraints.max_norm constraints.MaxNorm datasets.mnist.load_data datasets.fashion_mnist.load_data
initializers.HeNormal initializers.he_normal initializers.get initializers.serialize initializers.deserialize
layers.Input layers.InputLayer layers.Dense layers.Concatenate layers.concatenate layers.MaxPool2D layers.Flatten
losses.MeanSquaredError losses.mean_squared_error losses.get losses.serialize losses.deserialize
metrics.AUC metrics.binary_accuracy metrics.mean_squared_error metrics.get
models.Model models.Sequential models.clone_model models.load_model models.model_from_json models.save_model
ops.relu ops.softmax ops.matmul ops.mean ops.sum ops.concatenate ops.reshape ops.transpose ops.exp ops.log ops.sqrt
ops.square ops.abs ops.absolute ops.maximum ops.minimum ops.clip ops.where ops.stack ops.split ops.expand_dims
ops.squeeze ops.convert_to_tensor ops.convert_to_numpy ops.cast ops.shape ops.zeros ops.ones ops.one_hot ops.argmax
optimizers.Adam optimizers.get optimizers.serialize optimizers.deserialize optimizers.schedules.ExponentialDecay
optimizers.schedules.CosineDecay random.normal random.uniform random.randint random.shuffle random.SeedGenerator
regularizers.L2 regularizers.l2 saving.load_model saving.register_keras_serializable
utils.PyDataset utils.clear_session utils.model_to_dot utils.normalize utils.pad_sequences utils.plot_model
utils.set_random_seed utils.split_dataset utils.to_categorical utils.register_keras_serializable
utils.unpack_x_y_sample_weight utils.pack_x_y_sample_weight utils.custom_object_scope
"""


@pytest.mark.parametrize("path", PATHS.split())
def test_names_are_where_keras_has_them(path):
    found = nb
    for part in path.split("."):
        found = getattr(found, part)


def test_every_exported_name_exists():
    names = ["nbnet"] + [module.name for module in pkgutil.iter_modules(nb.__path__, "nbnet.") if module.ispkg]
    for name in names:
        module = importlib.import_module(name)
        exported = getattr(module, "__all__", [])
        assert len(set(exported)) == len(exported), name
        for exported_name in exported:
            assert hasattr(module, exported_name), f"{name}.{exported_name}"


def test_snake_case_names_are_the_classes():
    assert nb.initializers.he_normal is nb.initializers.HeNormal
    assert nb.initializers.zeros is nb.initializers.Zeros
    assert nb.constraints.max_norm is nb.constraints.MaxNorm
    assert nb.ops.swish is nb.ops.silu
    assert nb.activations.swish is nb.ops.silu


def test_the_session_can_be_cleared():
    for clear in (nb.utils.clear_session, nb.backend.clear_session):
        clear()
        assert nb.layers.Dense(1).name == "dense"
        assert nb.layers.Dense(1).name == "dense_1"


@pytest.mark.parametrize(
    ("data", "wanted"),
    [(1, (1, None, None)), ((1,), (1, None, None)), ((1, 2), (1, 2, None)), ((1, 2, 3), (1, 2, 3))],
)
def test_batches_are_taken_apart_and_put_together(data, wanted):
    assert nb.utils.unpack_x_y_sample_weight(data) == wanted
    assert nb.utils.unpack_x_y_sample_weight(nb.utils.pack_x_y_sample_weight(*wanted)) == wanted
    with pytest.raises(ValueError, match=r"data: expected x, .* got a tuple of 4"):
        nb.utils.unpack_x_y_sample_weight((1, 2, 3, 4))
