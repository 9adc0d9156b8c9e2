"""Models: :class:`Sequential`, :class:`Model`, and functions that copy, save, load and train them."""

from typing import TYPE_CHECKING, Any

from nbnet.models import delegates
from nbnet.models.clone import clone_model, model_from_json
from nbnet.models.many import fit_many
from nbnet.models.model import Model
from nbnet.models.monte_carlo import MCPrediction
from nbnet.models.sequential import Sequential

__all__ = [
    "MCPrediction", "Model", "Sequential", "clone_model", "fit_many", "load_model", "model_from_json", "save_model",
]  # fmt: skip

if TYPE_CHECKING:
    from nbnet.models.delegates import load_model, save_model
else:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(delegates.saving_module(), name)
