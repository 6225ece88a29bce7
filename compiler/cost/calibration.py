"""How much of a device's rates a program reaches. The defaults are public starting points; measured ones replace them.

A calibration file is JSON: {"rtx-4090": {"memory": 0.81, "launch_seconds": 2e-6}, "default": {...}}; fields that it
leaves out keep their default.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

from archspec.errors import InputError


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Shares of the sheet's rates, and fixed costs.

    memory: of bandwidth. experts: of bandwidth, for routed experts. compute: of the matrix rate. attention: of the
    matrix rate, inside attention. overlap: of the shorter of computing and moving, what hides behind the longer.
    launch_seconds: for each operation. step_seconds: host work and sampling of a step.
    """

    memory: float
    experts: float
    compute: float
    attention: float
    overlap: float
    launch_seconds: float
    step_seconds: float
    source: str = ""


# Compute 0.9, memory 0.75 and overlap 0.3 fit what hahnyuan/LLM-Viewer issue 4 measured against a plain roofline:
# LLaMA-7B, A100, TensorRT-LLM, prefill of 128 tokens takes 2.3 times as long as the roofline says (complete overlap
# misses that by half), of 2,048 tokens 1.2 times. 0.75 with launches gives the 0.70 of the bandwidth
# that dense models of 3B and more reach in runs that users report (RTX 4090, RTX 5090); mixtures reach half of that,
# hence experts 0.4. Attention 0.6: FlashAttention-2 reaches 0.5 to 0.73 of an A100 (arXiv 2307.08691, section 4.1).
# 3 us an operation: aiconfigurator.
DEFAULT_GPU = Efficiency(0.75, 0.4, 0.9, 0.6, 0.3, 3e-6, 2e-4, "public starting points, not measured on this device")
# Compiled decode on 2 cores takes 0.8 of the bandwidth; eager dispatch is about 10 us an operation.
DEFAULT_CPU = Efficiency(0.8, 0.4, 0.8, 0.4, 0.3, 1e-5, 5e-4, "public starting points, not measured on this device")


def default_for(kind: str) -> Efficiency:
    """Defaults for "gpu" or "cpu"."""
    return DEFAULT_CPU if kind == "cpu" else DEFAULT_GPU


def read_calibration(path: Path) -> Mapping[str, Mapping[str, float]]:
    """Device -> measured fields, checked; InputError names what is wrong."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=str(path)) from None
    except ValueError as error:
        raise InputError(f"is not JSON: {error}", source=str(path)) from None
    known = {f.name for f in fields(Efficiency)}
    if not isinstance(found, dict) or not all(isinstance(values, dict) for values in found.values()):
        raise InputError("a calibration is an object of objects: device -> field -> number", source=str(path))
    for device, values in found.items():
        for name, value in values.items():
            where = f"/{device}/{name}"
            if name not in known:
                raise InputError(f"unknown field; allowed: {', '.join(sorted(known))}", source=str(path), path=where)
            if name == "source":
                continue
            if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
                raise InputError(f"found {value!r}, a number of at least 0 is needed", source=str(path), path=where)
            if name in ("memory", "experts", "compute", "attention") and not 0 < value <= 1:
                raise InputError(f"found {value}, a share is above 0 and at most 1", source=str(path), path=where)
            if name == "overlap" and value > 1:
                raise InputError(f"found {value}, a share is at most 1", source=str(path), path=where)
    return found


def efficiency(device: str, kind: str, measured: Mapping[str, Mapping[str, float]] | None = None) -> Efficiency:
    """What to expect of this device: the measured fields where there are any, else the defaults."""
    base = default_for(kind)
    changes = (measured or {}).get(device) or (measured or {}).get("default")
    if not changes:
        return base
    return replace(base, **{"source": "measured", **changes})  # type: ignore[arg-type]
