"""Random parameters: for `--init SEED`, for tests, and for costing what needs numbers."""

import hashlib
from collections.abc import Iterator, Mapping
from math import sqrt

import torch

Shape = tuple[int, ...]


def init_weights(params: Mapping[str, Shape], seed: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Path -> tensor. Each is drawn from the seed and its own path, so neither order nor other parameters matter.

    Matrices have variance 1/fan_in, so that activations keep their size; biases a deviation of 0.1; other vectors,
    which are gains of norms, lie around 1 with a deviation of 0.1. Drawn in float32.
    """
    return dict(init_stream(params, seed, dtype))


def init_stream(
    params: Mapping[str, Shape], seed: int, dtype: torch.dtype = torch.float32
) -> Iterator[tuple[str, torch.Tensor]]:
    """As `init_weights`, one parameter after another."""
    for path, shape in params.items():
        yield path, _drawn(path, tuple(shape), seed).to(dtype)


def _drawn(path: str, shape: Shape, seed: int) -> torch.Tensor:
    digest = hashlib.blake2b(f"{seed} {path}".encode(), digest_size=8).digest()
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1))
    if path.endswith(".poles"):  # complex numbers inside the unit circle: outside, what a filter remembers grows
        return noise / (1 + noise.norm(dim=-1, keepdim=True))
    if len(shape) >= 2 and not path.endswith(".variance"):  # that of a norm in each expert is positive too
        return noise / sqrt(shape[-1])
    return 0.1 * noise if path.endswith("bias") else 1 + 0.1 * noise
