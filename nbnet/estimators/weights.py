"""Weights of a network as scikit-learn's networks show them: ``coefs_`` and ``intercepts_``."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from nbnet.layers import Dense

Array = NDArray[Any]
_NAMES = ("coefs_", "intercepts_", "_shown")


class Shown:
    """Mixin: lists of arrays, which are the memory of the network. Whoever puts other arrays into the lists changes the
    network as well."""

    _dense: list[Dense]

    def _show(self) -> None:
        """Make the lists."""
        self.coefs_ = [layer.kernel.numpy() for layer in self._dense]
        self.intercepts_ = [layer.bias.numpy() for layer in self._dense]
        self._shown = [*self.coefs_, *self.intercepts_]

    def _push(self) -> None:
        """Give the network what was put into the lists."""
        given = [*vars(self).get("coefs_", ()), *vars(self).get("intercepts_", ())]
        shown = vars(self).get("_shown") or [None] * len(given)
        places = [layer.kernel for layer in self._dense] + [layer.bias for layer in self._dense]
        changed = [(p, new) for p, new, old in zip(places, given, shown, strict=False) if new is not old]
        for parameter, array in changed:
            parameter.assign(array)
        if changed:
            self._show()

    def __getstate__(self) -> dict[str, Any]:
        made = "model_" in vars(self)
        if made:
            self._push()
        state: Any = super().__getstate__()
        # The network has them.
        return {name: value for name, value in state.items() if not (made and name in _NAMES)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[misc]
        if "model_" in state:
            self._show()
