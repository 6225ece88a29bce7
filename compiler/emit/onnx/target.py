"""Where an ONNX package runs, and which fused operators exist there.

The lowering is a function of (provider, dtype, shape): the table says provider and dtype, an operator's own
`write_onnx.py` says shape. Found by running ONNX Runtime 1.31.1 on the CPU; the CUDA column comes from the kernels
compiled into its wheel and was never run.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from archspec.errors import InputError

OPSET = 23  # Attention, RMSNormalization and RotaryEmbedding are standard from here on; ONNX Runtime 1.31 takes 26
IR_VERSION = 10  # it takes 13
MICROSOFT = "com.microsoft"

RUNTIMES = ("ort", "portable", "genai")
DTYPES = ("fp32", "fp16", "bf16")
DEVICES = ("cpu", "cuda")

_ANY = {"cpu": ("fp32",), "cuda": DTYPES}

# Fused operator -> domain, and the dtypes each provider has a kernel for.
FUSED: Mapping[str, tuple[str, Mapping[str, tuple[str, ...]]]] = {
    "GroupQueryAttention": (MICROSOFT, {"cpu": ("fp32",), "cuda": ("fp16", "bf16")}),
    "SimplifiedLayerNormalization": ("", _ANY),  # lives in the default domain, though no standard names it
    # Not on the CPU: there the skip norms of 1.31.1 add up one number after another. On (1, 256, 4096) they took 1.7
    # and 6.9 times as long as Add and the norm apart, with 6 and 21 times the error; on a real model of 30 layers
    # the logits' error doubled.
    "SkipSimplifiedLayerNormalization": (MICROSOFT, {"cuda": DTYPES}),
    "SkipLayerNormalization": (MICROSOFT, {"cuda": DTYPES}),
    "BiasGelu": (MICROSOFT, _ANY),
    "FastGelu": (MICROSOFT, _ANY),
    "QuickGelu": (MICROSOFT, _ANY),
    "FusedMatMul": (MICROSOFT, _ANY),
    "LinearAttention": (MICROSOFT, _ANY),
    "MoE": (MICROSOFT, _ANY),
    "CausalConvWithState": (MICROSOFT, _ANY),
}


@dataclass(frozen=True, slots=True)
class Target:
    """runtime "ort": fused operators allowed; "portable": the standard's only; "genai": ort, as genai calls it."""

    runtime: str = "ort"
    provider: str = "cpu"
    dtype: str = "fp32"

    def has(self, fused: str) -> bool:
        """Is there a kernel for this fused operator?"""
        return self.runtime != "portable" and self.dtype in FUSED[fused][1].get(self.provider, ())


def target(runtime: str, device: str, dtype: str, source: str = "") -> Target:
    """InputError where nothing could run the package."""
    for what, value, known in (("runtime", runtime, RUNTIMES), ("device", device, DEVICES), ("dtype", dtype, DTYPES)):
        if value not in known:
            raise InputError(f"--{what} {value!r}: an ONNX package has one of {', '.join(known)}", source=source)
    if device == "cpu" and dtype != "fp32":
        why = {
            "bf16": "ONNX Runtime's CPU provider has no bf16 MatMul, Add or Softmax: the package would not load",
            "fp16": "ONNX Runtime's CPU provider has almost no fp16 kernels and computes in fp32 with casts between",
        }[dtype]
        raise InputError(f"--dtype {dtype} --device cpu: {why}; use --dtype fp32", source=source)
    return Target(runtime, device, dtype)
