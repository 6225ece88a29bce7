"""For the scripts that make fixtures: weights drawn anew, and how a fixture is written.

Needs torch and safetensors only, so that it runs where the reference runs.

A fixture holds float32 and int64 tensors: `weight.<name of the reference>`, `input.<name>`, `output.<name>`.
"""

import sys
import types
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

FOLDER = Path(__file__).parent
LARGEST = 200_000  # bytes
# Parameters whose start carries a meaning are moved a little instead of redrawn.
torch.manual_seed(0)  # some of these starts are drawn, as the model is built
MOVED = ("A_log", "dt_proj.bias")


def drawn(name: str, *shape: int) -> Tensor:
    """Standard normal, from a generator keyed by the name."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))


def ids(vocabulary: int, *shape: int) -> Tensor:
    return torch.randint(5, vocabulary, shape, generator=torch.Generator().manual_seed(0))


def sinusoids(length: int, width: int) -> Tensor:
    """Of positions 0, 1, ...; sine and cosine in turns."""
    angle = torch.arange(length)[:, None] * 10000.0 ** (-torch.arange(0, width, 2) / width)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)


@torch.no_grad()
def redraw(model: nn.Module) -> nn.Module:
    """Every parameter drawn anew, so that gains are not 1 and biases not 0."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    for name, value in model.named_parameters():
        noise = drawn(name, *value.shape)
        if value.dim() < 2 or any(word in name for word in MOVED):
            value.add_(0.1 * noise)
        else:
            value.copy_(0.7 * noise if id(value) in tables else noise / value.shape[-1] ** 0.5)
    return model.eval()


def save(
    name: str, model: nn.Module | None, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], drop: str = ""
) -> None:
    """Write `<name>.safetensors`; a parameter that several names share is kept once, those with `drop` not at all."""
    weights = {} if model is None else dict(model.named_parameters())
    kept = {f"weight.{n}": w for n, w in weights.items() if not drop or drop not in n}
    tensors = kept | {f"input.{n}": x for n, x in inputs.items()} | {f"output.{n}": x for n, x in outputs.items()}
    path = FOLDER / f"{name}.safetensors"
    save_file({n: x.detach().contiguous().clone() for n, x in tensors.items()}, path)
    path.chmod(0o644)
    if path.stat().st_size > LARGEST:
        raise SystemExit(f"{path.name} has {path.stat().st_size} bytes, at most {LARGEST} are allowed")
    print(path.name, path.stat().st_size, "bytes")


def stand_in(name: str, **members: object) -> None:
    """An empty module under this name, with its parents: for what a reference imports and inference never calls."""
    parent, _, leaf = name.rpartition(".")
    if parent:
        stand_in(parent)
    module = sys.modules.setdefault(name, types.ModuleType(name))
    if parent:
        setattr(sys.modules[parent], leaf, module)
    for key, value in members.items():
        setattr(module, key, value)
