"""Devices: dense rates (no sparsity), memory bandwidth, memory that a program sees.

fp16/bf16 with fp32 accumulation, which frameworks use: half the headline rate on GeForce cards. Many pages print sparse
rates as if dense; these are halved where needed. fp32 is the rate of the ordinary cores. Achievable bandwidth is 80 to
93 % of the sheet's; see `calibration.py`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from archspec.errors import InputError

MIB = 2**20
GPU_CONTEXT_BYTES = 600 * MIB  # driver context and matrix library workspace: 0.4 to 0.8 GiB, a rule of thumb
CPU_CONTEXT_BYTES = 300 * MIB  # Python with torch imported, measured 0.25 to 0.3 GB


@dataclass(frozen=True, slots=True)
class Device:
    """memory_bytes: what a program sees; rates in 1e12 floating-point operations, bandwidth in 1e9 bytes a second."""

    name: str
    memory_bytes: int
    gigabytes_per_second: float
    tflops_16: float
    tflops_32: float
    tflops_fp8: float | None
    tops_int8: float | None
    source: str
    kind: str = "gpu"

    @property
    def context_bytes(self) -> int:
        return GPU_CONTEXT_BYTES if self.kind == "gpu" else CPU_CONTEXT_BYTES

    @property
    def bandwidth(self) -> float:
        """Bytes a second."""
        return self.gigabytes_per_second * 1e9

    def rate(self, activations: str) -> float | None:
        """Floating-point operations a second of matrix products in this type; None where the sheet says nothing."""
        tflops = {"bf16": self.tflops_16, "fp16": self.tflops_16, "fp32": self.tflops_32}.get(activations)
        return None if tflops is None else tflops * 1e12


def _gpu(
    name: str, mib: float, bandwidth: float, t16: float, t32: float, fp8: float | None, int8: float, source: str
) -> Device:
    return Device(name, round(mib * MIB), bandwidth, t16, t32, fp8, int8, source)


def _own_memory() -> int:
    """Memory of this machine, which is what "cpu" means."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return 8 * 2**30


DEVICES: Mapping[str, Device] = {
    d.name: d
    for d in (
        _gpu("rtx-3090", 24576, 936, 71, 35.6, None, 284, "GA102 whitepaper"),
        _gpu("rtx-4090", 24564, 1008, 165.2, 82.6, 330.3, 660.6, "Ada whitepaper"),
        _gpu("rtx-5090", 32607, 1792, 209.5, 104.8, 419, 838, "RTX Blackwell whitepaper"),
        _gpu("l4", 23034, 300, 121, 30.3, 242, 242, "L4 datasheet, halved; aiconfigurator l4.yaml"),
        _gpu("l40s", 46068, 864, 362, 91.6, 733, 733, "L40S datasheet; aiconfigurator l40s.yaml"),
        _gpu("a10g", 23028, 600, 70, 35.0, None, 140, "cloud vendor card; boards differ"),
        _gpu("a100-40gb", 40960, 1555, 312, 19.5, None, 624, "A100 datasheet"),
        _gpu("a100-80gb", 81920, 2039, 312, 19.5, None, 624, "A100 datasheet; aiconfigurator a100_sxm.yaml"),
        _gpu("a100-80gb-pcie", 81920, 1935, 312, 19.5, None, 624, "A100 datasheet; aiconfigurator a100_pcie.yaml"),
        _gpu("h100-sxm", 81559, 3350, 989, 67, 1979, 1979, "H100 page, halved; aiconfigurator h100_sxm.yaml"),
        _gpu("h100-pcie", 81559, 2000, 756, 51, 1513, 1513, "H100 page, halved; aiconfigurator h100_pcie.yaml"),
        _gpu("h200", 143771, 4800, 989, 67, 1979, 1979, "H200 page, halved; aiconfigurator h200_sxm.yaml"),
        _gpu("b200", 180e9 / MIB, 7700, 2250, 80, 4500, 4500, "Blackwell datasheet; aiconfigurator b200_sxm.yaml"),
        _gpu("mi300x", 192e9 / MIB, 5300, 1307, 163.4, 2615, 2615, "AMD data sheet"),
        Device("cpu", _own_memory(), 29, 1.41, 0.29, None, None, "measured: 2 server cores with AVX-512, AMX", "cpu"),
    )
}
DEFAULT_DEVICE = "rtx-4090"


def device(name: str) -> Device:
    """A device by name; InputError with the nearest name."""
    found = DEVICES.get(name.lower().replace("_", "-").replace(" ", "-"))
    if found is None:
        near = get_close_matches(name.lower(), DEVICES, 1, 0.4)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"unknown device {name!r}{hint}; known: {', '.join(DEVICES)}", source="--device")
    return found
