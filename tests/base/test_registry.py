"""Names that are each given once."""

from nbnet import Input, Sequential, layers
from nbnet.base.registry import UniqueNames
from nbnet.saving.weights import layers_by_path


def test_names_are_numbered_from_one():
    names = UniqueNames(["a", "a_2"])
    assert [names.take(name) for name in "abaab"] == ["a_1", "b", "a_3", "a_4", "b_1"]


def test_a_number_that_was_given_by_name():
    names = UniqueNames()
    assert [names.take(name) for name in ("a_1", "a", "a", "a_1", "a")] == ["a_1", "a", "a_2", "a_1_1", "a_3"]


def test_layers_of_a_model_are_numbered_by_class():
    model = Sequential([Input((2,)), *(layers.ReLU() for _ in range(3)), layers.ReLU(name="other")])
    assert [path for path in layers_by_path(model) if path] == ["re_lu", "re_lu_1", "re_lu_2", "other"]
