"""The files of a torch package: model.py and its weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.emit.torch.file import write_model
from compiler.ir.program import Program


@dataclass(frozen=True)
class Emission:
    """What was written."""

    files: tuple[Path, ...]


def emit(
    program: Program,
    tensors: Any | None,
    folder: Path,
    *,
    runtime: str = "",
    dtype: str = "fp32",
    device: str = "cpu",
    tokens: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Emission:
    """Write `model.py` into `folder`, and the weights if there are any (see `compiler.emit.tensors.Tensors`).

    The same file runs on every device and in every float type; `runtime` is for other targets.
    tokens: `eos_token_id`, one or a list.
    """
    ends = (tokens or {}).get("eos_token_id", ())
    text = write_model(program, (ends,) if isinstance(ends, int) else tuple(ends))
    file = folder / "model.py"
    file.write_text(text, encoding="utf-8")
    files = [file]
    if tensors is not None:
        files += tensors.write(folder)
    return Emission(tuple(files))
