"""Models."""

from typing import TYPE_CHECKING, Any

from nbnet.models.many import fit_many
from nbnet.models.model import Model
from nbnet.models.monte_carlo import MCPrediction
from nbnet.models.sequential import Sequential

__all__ = [
    "MCPrediction",
    "Model",
    "Sequential",
    "clone_model",
    "fit_many",
    "load_model",
    "model_from_json",
    "save_model",
]

if TYPE_CHECKING:
    from nbnet.saving import clone_model, load_model, model_from_json, save_model
else:

    def __getattr__(name: str) -> Any:
        # What saves and loads is built on models, so it is looked up when it is asked for.
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from nbnet import saving

        return getattr(saving, name)
