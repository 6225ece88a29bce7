"""What this machine offers, found out without importing torch or onnxruntime."""

import os
import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGES = ("archspec-compiler", "torch", "onnx", "onnxruntime", "onnxruntime-gpu", "onnxruntime-genai",
            "onnxruntime-genai-cuda", "optuna", "sqlalchemy", "pydantic", "transformers")  # fmt: skip
# What the kernels we emit or call make use of; names as Linux prints them.
FEATURES = ("avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_tile",
            "amx_bf16", "amx_int8", "asimd", "asimddp", "bf16", "i8mm", "sve")  # fmt: skip
COMPILERS = ("g++", "clang++", "c++", "nvcc")
# A provider is there when its library lies in onnxruntime's folder; the processor's is always there.
PROVIDERS = {"CUDAExecutionProvider": "cuda", "TensorrtExecutionProvider": "tensorrt", "ROCMExecutionProvider": "rocm",
             "OpenVINOExecutionProvider": "openvino"}  # fmt: skip


def survey() -> dict[str, dict[str, Any]]:
    """Section -> name -> value. Bytes as whole numbers; None where nothing was found."""
    return {
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "processor": _processor(),
        "memory": _memory(),
        "accelerators": _accelerators(),
        "onnxruntime": {"providers": _providers()},
        "compilers": {name: _first_line(name, "--version") for name in COMPILERS},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> dict[str, Any]:
    fields = _fields(Path("/proc/cpuinfo"), ":")
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "model": fields.get("model name") or platform.processor() or None,
        "cores for us": len(cores),
        "cores in all": os.cpu_count(),
        "features": [name for name in FEATURES if name in flags],
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
    }


def _memory() -> dict[str, Any]:
    fields = _fields(Path("/proc/meminfo"), ":")
    found: dict[str, Any] = {
        name: int(fields[key].split()[0]) * 1024 if key in fields else None
        for name, key in (("total", "MemTotal"), ("available", "MemAvailable"))
    }
    limit = _read(Path("/sys/fs/cgroup/memory.max"))
    found["limit of this container"] = int(limit) if limit and limit.isdigit() else None
    return found


def _accelerators() -> dict[str, Any]:
    listed = _run("nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader")
    if not listed:
        return {"nvidia": None}
    return {f"nvidia {i}": line.strip() for i, line in enumerate(listed.splitlines())}


def _providers() -> list[str] | None:
    spec = find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        return None
    library = Path(spec.origin).parent / "capi"
    present = [name for name, stem in PROVIDERS.items() if any(library.glob(f"*onnxruntime_providers_{stem}.*"))]
    return [*present, "CPUExecutionProvider"]


def _fields(path: Path, separator: str) -> dict[str, str]:
    """The first value of each name in a file of `name: value` lines."""
    found: dict[str, str] = {}
    for line in (_read(path) or "").splitlines():
        name, _, value = line.partition(separator)
        found.setdefault(name.strip(), value.strip())
    return found


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _first_line(program: str, argument: str) -> str | None:
    lines = (_run(program, argument) or "").splitlines()
    return lines[0] if lines else None


def _run(program: str, *arguments: str) -> str | None:
    """What a program prints, or None if it is not there or fails."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
