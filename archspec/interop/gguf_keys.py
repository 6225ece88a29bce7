"""The keys of one architecture in a GGUF file, read with the care of a config.json, and shapes of its tensors."""

import struct

from archspec.errors import InputError
from archspec.interop.gguf_file import GgufFile
from archspec.interop.hf.config import Config

# Keys of the architecture that change nothing in the computation.
INERT = ("rope.scaling.finetuned", "tensor_data_layout", "attention.value_length", "vocab_size")


class Keys(Config):
    """The keys of one architecture without its name; numbers in single precision become the decimals they mean."""

    def __init__(self, file: GgufFile, architecture: str) -> None:
        prefix = architecture + "."
        own = {key.removeprefix(prefix): value for key, value in file.metadata.items() if key.startswith(prefix)}
        super().__init__({key: _shortest(v) if isinstance(v, float) else v for key, v in own.items()}, str(file.path))
        self.prefix = prefix

    def fail(self, name: str, message: str) -> InputError:
        return super().fail(self.prefix + name, message)


def tensor_shape(file: GgufFile, name: str) -> tuple[int, ...]:
    """The shape of a stored tensor, which must be there."""
    if name not in file.tensors:
        raise InputError(f"the tensor {name} is missing", source=str(file.path))
    return file.tensors[name].shape


def _shortest(value: float) -> float:
    """The shortest decimal that is this number in single precision: 9.999999747378752e-06 -> 1e-05."""
    single = struct.pack("<f", value)
    if struct.unpack("<f", single)[0] != value:
        return value  # it was stored in double precision
    for digits in range(1, 10):
        short = float(f"{value:.{digits}g}")
        if struct.pack("<f", short) == single:
            return short
    return value
