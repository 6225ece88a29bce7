"""Emitted models in float64 beside the reference interpreter: whole, padded, and in steps."""

import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounter

from archspec.running import module
from compiler.emit.torch.file import write_model
from compiler.ir.program import Program
from compiler.pipeline import run as run_passes
from compiler.verify.interpreter import interpret
from compiler.verify.pack import pack

torch.set_num_threads(1)
CHUNKS: tuple[tuple[int, ...], ...] = ((1,), (67, 1, 3, 9))  # sizes of steps, again and again


def drawn(program: Program) -> dict[str, Tensor]:
    """Float64 parameters from a generator keyed by their paths; gains near 1."""
    found = {}
    for path, param in program.parameter_paths().items():
        generator = torch.Generator().manual_seed(zlib.crc32(path.encode()))
        noise = torch.randn(param.shape, generator=generator, dtype=torch.float64)
        found[path] = 0.3 * noise + (len(param.shape) == 1)
    return found


def emitted(program: Program, weights: dict[str, Tensor], folder: Path, passes: tuple[str, ...] | None = None) -> Any:
    """The model that the torch target writes for `program`, with these weights of the unrewritten program."""
    after, _ = run_passes(program, passes)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.py").write_text(write_model(after))
    with torch.device("meta"):
        model = module(folder / "model.py").Model()
    model.load_state_dict(pack(after, weights), strict=True, assign=True)
    return model.requires_grad_(False).eval()


def cuts(length: int, sizes: Iterable[int]) -> list[slice]:
    """Slices of these sizes, again from the first after the last."""
    sizes, start = list(sizes), 0
    out: list[slice] = []
    while start < length:
        stop = min(length, start + sizes[len(out) % len(sizes)])
        out.append(slice(start, stop))
        start = stop
    return out


def stepped(model: Any, tokens: Tensor, mask: Tensor | None, sizes: Iterable[int]) -> Tensor:
    state, out = model.new_state(len(tokens), tokens.shape[1] + 2), []
    for part in cuts(tokens.shape[1], sizes):
        logits, state = model.step(tokens[:, part], state, None if mask is None else mask[:, part])
        out.append(logits)
    return torch.cat(out, 1)


def compiled_steps(model: Any, tokens: Tensor) -> None:
    """Under torch.compile the step of one token is built once, whatever the token, and means the same."""
    torch.compiler.reset()
    expected, counter = model(tokens), CompileCounter()
    step, state = torch.compile(model.step, backend=counter), model.new_state(len(tokens), tokens.shape[1])
    state.static = True
    for i in range(tokens.shape[1]):
        logits, state = step(tokens[:, i : i + 1], state)
        close(logits, expected[:, i : i + 1])
        assert counter.frame_count == 1


def check(program: Program, tokens: Tensor, folder: Path, passes: tuple[str, ...] | None = None) -> Any:
    """The emitted model means what `program` means, 1e-9 in float64: all tokens at once, with padding on the left, and
    in steps of one token and of uneven sizes. Gives the model."""
    weights = drawn(program)
    model = emitted(program, weights, folder, passes)
    mask = torch.ones_like(tokens)
    mask[0, :7] = 0
    real = mask.bool()
    (whole,) = interpret(program, weights, {"input_ids": tokens}).values()
    (padded,) = interpret(program, weights, {"input_ids": tokens, "attention_mask": mask}).values()
    assert whole.abs().max() > 0.1
    close(model(tokens), whole)
    close(model(tokens, mask)[real], padded[real])
    if hasattr(type(model), "caches"):
        for sizes in CHUNKS:
            close(stepped(model, tokens, None, sizes), whole)
            close(stepped(model, tokens, mask, sizes)[real], padded[real])
    return model


def close(ours: Tensor, theirs: Tensor, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=tolerance)
