"""The ONNX target. Imports onnx-ir, never torch."""

from compiler.emit.onnx.package import Emission, emit

__all__ = ["Emission", "emit"]
