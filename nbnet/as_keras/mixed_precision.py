"""``keras.mixed_precision``: nbnet computes in float32 or float64, so a policy is one of these."""

from __future__ import annotations

from typing import Any

from nbnet.config import floatx, set_floatx


class Policy:
    """A dtype by its name; ``mixed_float16`` and ``mixed_bfloat16`` are refused."""

    def __init__(self, name: Any) -> None:
        self.name = str(getattr(name, "name", name))
        if self.name not in ("float32", "float64"):
            raise ValueError(
                f"name: expected 'float32' or 'float64', got {self.name!r}: nothing is computed in shorter floats"
            )
        self.compute_dtype = self.variable_dtype = self.name


DTypePolicy = Policy


def set_global_policy(policy: Any) -> None:
    """Set the default dtype."""
    set_floatx(Policy(policy).name)


set_dtype_policy = set_policy = set_global_policy


def global_policy() -> Policy:
    """The default dtype as a policy."""
    return Policy(floatx())


dtype_policy = global_policy
