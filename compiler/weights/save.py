"""Writes parameters: one safetensors file, or shards with an index."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from archspec.errors import InputError

MAX_SHARD = 5 * 10**9  # bytes


def save(
    tensors: Mapping[str, torch.Tensor] | Iterable[tuple[str, torch.Tensor]],
    folder: Path,
    max_shard: float = MAX_SHARD,
    stem: str = "weights",
) -> list[Path]:
    """Writes `<stem>.safetensors`, or `<stem>-00001-of-0000N.safetensors` and `<stem>.safetensors.index.json`.

    Takes pairs one after another, so at most one shard is in memory. Returns the files written. InputError if it cannot
    write.
    """
    pairs = tensors.items() if isinstance(tensors, Mapping) else tensors
    shards: list[Path] = []
    homes: list[tuple[str, int]] = []  # tensor name, number of its shard
    shard: dict[str, torch.Tensor] = {}
    size = total = 0
    for name, tensor in pairs:
        bytes_here = tensor.numel() * tensor.element_size()
        if shard and size + bytes_here > max_shard:
            shards.append(_write(shard, folder / f"{stem}-part{len(shards)}.safetensors"))
            shard, size = {}, 0
        shard[name] = tensor.contiguous()
        homes.append((name, len(shards)))
        size, total = size + bytes_here, total + bytes_here
    shards.append(_write(shard, folder / f"{stem}-part{len(shards)}.safetensors"))
    if len(shards) == 1:
        return [shards[0].rename(folder / f"{stem}.safetensors")]
    # How many there are is known only now.
    files = [
        part.rename(folder / f"{stem}-{i + 1:05}-of-{len(shards):05}.safetensors") for i, part in enumerate(shards)
    ]
    index = folder / f"{stem}.safetensors.index.json"
    weight_map = {name: files[i].name for name, i in homes}
    index.write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}, indent=2) + "\n")
    return [*files, index]


def _write(shard: dict[str, torch.Tensor], file: Path) -> Path:
    try:
        save_file(shard, file, {"format": "pt"})
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot be written: {error}", source=str(file)) from None
    return file
