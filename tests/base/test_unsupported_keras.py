"""Names of Keras that are not offered say so, with what to do instead."""

from __future__ import annotations

import importlib

import pytest

import nbnet as nb
from nbnet.base import unsupported_keras

MODULES = sorted(unsupported_keras._TABLE)


@pytest.mark.parametrize("module", MODULES)
def test_every_name_in_the_table_gives_one_clear_sentence(module):
    loaded = importlib.import_module(module)
    names = unsupported_keras.absent_names(module)
    assert names
    for name, instead in names.items():
        assert not hasattr(loaded, name), f"{module}.{name} is offered now: take it out of the table"
        with pytest.raises(AttributeError) as caught:
            getattr(loaded, name)
        shown = f"{module}.{name}".removeprefix("nbnet.")
        assert str(caught.value) == f"nbnet does not offer {shown}: {instead}"
        assert "\n" not in instead
        assert not instead.endswith(".")


@pytest.mark.parametrize("module", MODULES)
def test_other_names_are_missing_as_usual(module):
    loaded = importlib.import_module(module)
    with pytest.raises(AttributeError, match=rf"^module '{module}' has no attribute 'Nonsense'$") as caught:
        loaded.Nonsense  # noqa: B018
    assert (caught.value.name, caught.value.obj) == ("Nonsense", loaded)
    with pytest.raises(ImportError, match="cannot import name 'Nonsense'"):
        exec(f"from {module} import Nonsense")


def test_some_that_scripts_ask_for():
    for text in (
        "layers.LSTM",
        "layers.Conv3DTranspose",
        "layers.Bidirectional",
        "applications",
        "mixed_precision",
        "ops.ctc_loss",
    ):
        owner, name = nb, text
        for part in text.split(".")[:-1]:
            owner, name = getattr(owner, part), text.rsplit(".", 1)[1]
        with pytest.raises(AttributeError, match=f"^nbnet does not offer {text}: "):
            getattr(owner, name)
