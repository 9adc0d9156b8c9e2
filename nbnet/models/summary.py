"""The table that ``model.summary()`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbnet.models.model import Model


def summary(model: Model) -> str:
    """Layers, output shapes and numbers of parameters, as Keras lays them out."""
    rows = [("Layer (type)", "Output Shape", "Param #")]
    shape = model.batch_input_shape
    for layer in model.layers:
        if shape is not None:
            shape = layer.compute_output_shape(shape)
        shown = "?" if shape is None else str(shape)
        rows.append(
            (
                f"{layer.name} ({type(layer).__name__})",
                shown,
                f"{layer.count_params():,}" if layer.built else "0 (unbuilt)",
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    rule = "─" * (sum(widths) + 6)
    lines = [f'Model: "{model.name}"', rule]
    for number, row in enumerate(rows):
        lines.append("   ".join((row[0].ljust(widths[0]), row[1].ljust(widths[1]), row[2].rjust(widths[2]))))
        if number == 0:
            lines.append(rule)
    lines.append(rule)
    trainable = sum(w.size for w in model.trainable_weights)
    total = model.count_params()
    for name, count in (("Total", total), ("Trainable", trainable), ("Non-trainable", total - trainable)):
        lines.append(f"{name} params: {count:,} ({_size(count * model.dtype.itemsize)})")
    return "\n".join(lines)


def _size(nbytes: int) -> str:
    value, unit = float(nbytes), "B"
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1024 or unit == "GB":
            break
        value /= 1024
    return f"{value:.2f} {unit}"
