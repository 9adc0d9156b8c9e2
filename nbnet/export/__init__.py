"""A trained model as a file that other programs run: ONNX."""

from nbnet.export.model import export, to_onnx

__all__ = ["export", "to_onnx"]
