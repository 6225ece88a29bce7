"""Tensors of a GGUF file, dequantised by the `gguf` package."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from gguf import GGMLQuantizationType
from gguf.quants import dequantize

from archspec.interop.gguf_file import read_gguf

_PLAIN = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}


class GgufSource:
    """Stored floats keep their type; quantised tensors become float32."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tensors = read_gguf(path).tensors
        self._bytes = np.memmap(path, np.uint8, "r")

    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        return {name: tensor.shape for name, tensor in self._tensors.items()}

    def read(self, name: str) -> torch.Tensor:
        tensor = self._tensors[name]
        raw = self._bytes[tensor.start : tensor.start + tensor.size]
        if tensor.type in _PLAIN:
            return torch.from_numpy(np.array(raw)).view(_PLAIN[tensor.type]).reshape(tensor.shape)
        values = dequantize(np.asarray(raw), GGMLQuantizationType(tensor.type_number))
        return torch.from_numpy(values).reshape(tensor.shape)
