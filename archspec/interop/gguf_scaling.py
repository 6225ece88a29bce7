"""Scalings of rotary positions in GGUF: keys of the metadata, and the tensor of divisors that Llama 3.1 files have."""

from math import isclose, pi
from typing import Any

from archspec.errors import InputError
from archspec.interop.gguf_file import GgufFile
from archspec.interop.hf.config import Config


def rope_scaling(file: GgufFile, keys: Config, theta: float, d_head: int, max_length: int) -> dict[str, Any] | None:
    """The `scaling` of the rotary position, or None. `keys` are those of the architecture."""
    kind = keys.get("rope.scaling.type", "none")
    factor = keys.number("rope.scaling.factor", keys.number("rope.scale_linear", 1.0))
    original = keys.integer("rope.scaling.original_context_length", max_length)
    if "rope_freqs.weight" in file.tensors:
        if kind != "none":
            raise keys.fail("rope.scaling.type", f"{kind!r} beside the tensor rope_freqs.weight is not understood")
        return _llama3_scaling(file, theta, d_head)
    if kind in ("none", "linear"):
        return None if factor == 1 else {"type": "linear", "factor": factor}
    if kind == "yarn":
        keys.fixed("rope.scaling.attn_factor", 1.0)
        return {"type": "yarn", "factor": factor, "original_length": original}
    raise keys.fail("rope.scaling.type", f"found {kind!r}, understood are none, linear, yarn")


def _llama3_scaling(file: GgufFile, theta: float, d_head: int) -> dict[str, Any]:
    """The converter writes the three-band scaling of Llama 3.1 as one divisor for each frequency, and nothing else.

    The largest divisor is the factor; the bands are those of every published checkpoint, and the divisors they give
    must be those in the file.
    """
    divisors = file.floats("rope_freqs.weight")
    factor, low, high, length = round(max(divisors), 3), 1.0, 4.0, 8192
    for i, found in enumerate(divisors):
        wavelength = 2 * pi * theta ** (2 * i / d_head)
        smooth = min(max((length / wavelength - low) / (high - low), 0.0), 1.0)
        if not isclose(found, 1 / ((1 - smooth) / factor + smooth), rel_tol=1e-4):
            raise InputError(
                "rope_freqs.weight is not a scaling with the bands of Llama 3.1; it is not understood",
                source=str(file.path),
            )
    return {"type": "llama3", "factor": factor, "low": low, "high": high, "original_length": length}
