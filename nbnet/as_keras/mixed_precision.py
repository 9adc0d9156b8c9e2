"""``keras.mixed_precision``: nbnet computes in float32 or float64, so a policy is one of these."""

from __future__ import annotations

from typing import Any

from nbnet.config import DTypePolicy, floatx, set_floatx

Policy = DTypePolicy


def set_global_policy(policy: Any) -> None:
    """Set the default dtype."""
    set_floatx(Policy(policy).name)


set_dtype_policy = set_policy = set_global_policy


def global_policy() -> Policy:
    """The default dtype as a policy."""
    return Policy(floatx())


dtype_policy = global_policy
