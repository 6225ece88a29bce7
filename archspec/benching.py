"""Prefill and decode speed of a torch package on this machine. Imports torch."""

import resource
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from archspec.errors import InputError
from archspec.running import Running


@dataclass(frozen=True)
class Measured:
    """Medians over rounds, in tokens per second of one sequence or batch; peak memory of the whole process."""

    prompt: int
    new: int
    batch: int
    threads: int
    compiled: bool
    dtype: str
    load_seconds: float
    prefill_tokens_per_second: float
    decode_tokens_per_second: float | None  # None: the model cannot step
    peak_bytes: int


def measure(folder: Path, device: str, prompt: int, new: int, batch: int, rounds: int, compile: bool) -> Measured:
    """Random ids through the package: one warm-up, then `rounds` times. InputError where there is nothing to run."""
    began = time.perf_counter()
    model = Running(folder, device, compile).model
    loaded = time.perf_counter() - began
    generator = torch.Generator().manual_seed(0)
    rows = next(p.shape[0] for name, p in model.state_dict().items() if p.dim() == 2)
    ids = torch.randint(min(rows, 1000), (batch, prompt), generator=generator).to(device)
    steps = not hasattr(model, "refusal")
    if hasattr(model, "encode"):
        raise InputError("two stacks: bench measures models with one", source=str(folder))

    def wait() -> None:
        if device != "cpu":
            torch.cuda.synchronize()

    def once() -> tuple[float, float]:
        start = time.perf_counter()
        if not steps:
            model(ids)
            wait()
            return time.perf_counter() - start, 0.0
        state = model.new_state(batch, prompt + new)
        logits, state = model.step(ids, state, last=1)
        following = logits[:, -1:].argmax(-1)
        wait()
        middle = time.perf_counter()
        for _ in range(new):
            logits, state = model.step(following, state)
            following = logits[:, -1:].argmax(-1)
        wait()
        return middle - start, time.perf_counter() - middle

    try:
        with torch.inference_mode():
            once()
            found = [once() for _ in range(rounds)]
    except (RuntimeError, ValueError) as error:
        raise InputError(str(error), source=str(folder)) from error
    prefill, decode = (statistics.median(times) for times in zip(*found, strict=True))
    return Measured(
        prompt, new if steps else 0, batch, torch.get_num_threads(), compile,
        str(next(model.parameters()).dtype).removeprefix("torch."), loaded, batch * prompt / prefill,
        batch * new / decode if steps else None, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )  # fmt: skip
