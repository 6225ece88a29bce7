"""The PyTorch target: a program becomes one readable file. Imports no torch."""

from compiler.emit.torch.file import write_model
from compiler.emit.torch.package import Emission, emit

__all__ = ["Emission", "emit", "write_model"]
