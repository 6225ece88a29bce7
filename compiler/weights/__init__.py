"""Tensors by parameter path: read from safetensors and GGUF through recipes, drawn at random, and written.

Importing this package imports torch; what never needs it (`show`, `graph`, `search`) does not import this.
"""

from compiler.weights.evaluate import evaluate
from compiler.weights.init import init_stream, init_weights
from compiler.weights.load import load, stream
from compiler.weights.save import save
from compiler.weights.source import TensorSource, open_weights

__all__ = ["TensorSource", "evaluate", "init_stream", "init_weights", "load", "open_weights", "save", "stream"]
