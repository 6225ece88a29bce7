"""Prefill and decode speed of torch packages on this machine, several in turn. Imports torch."""

import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from archspec.errors import InputError
from archspec.running import Running

Times = tuple[float, float]  # seconds of prefill and of decode


@dataclass(frozen=True)
class Setting:
    """How to measure: a prompt of random ids, then tokens one by one; the median of so many rounds."""

    prompt: int = 512
    new: int = 64
    batch: int = 1
    rounds: int = 3
    device: str = "cpu"
    compile: bool = False


@dataclass(frozen=True)
class Measured:
    """Medians over rounds, in tokens per second of one sequence or batch; peak memory of the whole process."""

    folder: str
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


def measure(folders: Sequence[Path], how: Setting, progress: Callable[[], None] = lambda: None) -> list[Measured]:
    """Each package once to warm up, then all in turn, round after round, so that a busy machine slows all alike.

    `progress` is called after each run. InputError where there is nothing to run.
    """
    models, loads = [], []
    for folder in folders:
        began = time.perf_counter()
        model = Running(folder, how.device, how.compile).model
        if hasattr(model, "encode"):
            raise InputError("two stacks: bench measures models with one", source=str(folder))
        models.append(model)
        loads.append(time.perf_counter() - began)
    found: list[list[Times]] = [[] for _ in models]
    with torch.inference_mode():
        for turn in range(how.rounds + 1):
            for folder, model, times in zip(folders, models, found, strict=True):
                try:
                    run = _once(model, how)
                except (RuntimeError, ValueError) as error:
                    raise InputError(str(error), source=str(folder)) from error
                if turn:
                    times.append(run)
                progress()
    return [_measured(*row, how) for row in zip(folders, models, loads, found, strict=True)]


def _once(model: Any, how: Setting) -> Times:
    """One prompt and the tokens after it; a model that cannot step runs the prompt only."""
    rows = next(p.shape[0] for p in model.parameters() if p.dim() == 2)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(min(rows, 1000), (how.batch, how.prompt), generator=generator).to(how.device)

    def now() -> float:
        if how.device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter()

    start = now()
    if not _steps(model):
        model(ids)
        return now() - start, 0.0
    state = model.new_state(how.batch, how.prompt + how.new)
    logits, state = model.step(ids, state, last=1)
    following = logits[:, -1:].argmax(-1)
    middle = now()
    for _ in range(how.new):
        logits, state = model.step(following, state)
        following = logits[:, -1:].argmax(-1)
    return middle - start, now() - middle


def _steps(model: Any) -> bool:
    return not hasattr(model, "refusal")


def _measured(folder: Path, model: Any, loaded: float, found: list[Times], how: Setting) -> Measured:
    prefill, decode = (statistics.median(times) for times in zip(*found, strict=True))
    steps = _steps(model)
    return Measured(
        str(folder), how.prompt, how.new if steps else 0, how.batch, torch.get_num_threads(), how.compile,
        str(next(model.parameters()).dtype).removeprefix("torch."), loaded, how.batch * how.prompt / prefill,
        how.batch * how.new / decode if steps else None, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )  # fmt: skip
