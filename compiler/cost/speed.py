"""Roofline speed, operation by operation.

At most: an operation takes the longer of computing and moving its bytes at the sheet's rates. Expected: both at the
rates that programs reach and overlapped in part, plus a launch for each operation and a fixed cost for each step.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from compiler.cost.calibration import Efficiency
from compiler.cost.devices import Device
from compiler.cost.flops import of_site
from compiler.cost.formats import Storage
from compiler.cost.sites import Site, last_only
from compiler.cost.state import carried, state_bytes
from compiler.ops.base import Env


@dataclass(frozen=True, slots=True)
class Work:
    """What one pass of an operation does: operations, bytes moved, of them weights, rows, layers."""

    flops: int
    bytes: float
    weight_bytes: float
    rows: int
    attends: bool
    routed: bool
    runs: int


@dataclass(frozen=True, slots=True)
class Time:
    """Seconds of one pass. Kernels overlap computing and moving only in part (see calibration)."""

    compute: float
    memory: float
    launch: float

    @property
    def total(self) -> float:
        return self.compute + self.memory + self.launch

    @property
    def bound(self) -> str:
        return max(("compute", "memory", "launch"), key=lambda name: float(getattr(self, name)))


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens a second over the whole batch: expected, and the limit (upper bound) of the sheet's rates without any
    overhead. bound: what the step spends most time on; "capacity" where the job does not fit.

    compute_bound_batch: from this batch on, decode computes longer than it reads; None: never.
    """

    prefill_tokens_per_second: float | None
    prefill_limit: float | None
    prefill_bound: str
    decode_tokens_per_second: float | None
    decode_limit: float | None
    decode_bound: str | None
    compute_bound_batch: int | None
    decode_bytes: int | None  # read and written by one decode step


def work(found: Iterable[Site], env: Env, storage: Storage, *, source: bool, step: bool, last: bool) -> list[Work]:
    """The operations of one pass at these sizes; views do nothing.

    source: the stacks that run once. step: the generating stack. last: its tail sees the last position only.
    """
    done: list[Work] = []
    for site in found:
        if site.op.view or not (source if site.stage == "source" else step):
            continue
        here = last_only(env) if last and site.stage == "tail" else env
        rows = site.tokens(here)
        weights = sum(
            site.op.touched(role, p.shape, site.node.attrs, rows)
            / prod(p.shape)
            * storage.weight(p.kind).bytes_of(p.shape)
            for role, p in site.params.items()
        )
        values = sum(
            t.elements(here) * storage.value_bytes(t.dtype)
            for t in (*site.inputs, *site.outputs)
            if t.dtype != "absent"
        )
        states = carried(site)
        kept = sum(state_bytes(s, here, storage) * site.op.moved(s, site.inputs, site.node.attrs, here) for s in states)
        routed = site.op.active_share(site.node.attrs) < 1
        flops = of_site(site, here).exact
        done.append(Work(flops, weights + values + kept, weights, rows, bool(states), routed, site.runs))
    return done


def time(done: Iterable[Work], device: Device, rate: float, e: Efficiency) -> Time:
    """Expected seconds of one pass; `rate`: floating-point operations a second of the device in this type."""
    compute = memory = launches = 0.0
    for w in done:
        computing = w.runs * w.flops / (rate * (e.attention if w.attends else e.compute))
        moving = w.runs * w.bytes / (device.bandwidth * (e.experts if w.routed else e.memory))
        hidden = e.overlap * min(computing, moving)
        compute += computing - (hidden if computing < moving else 0)
        memory += moving - (hidden if moving <= computing else 0)
        launches += w.runs
    return Time(compute, memory, launches * e.launch_seconds + e.step_seconds)


def least(done: Iterable[Work], device: Device, rate: float) -> float:
    """Seconds that no program can stay under: each operation at the sheet's rates, computing and moving at once."""
    return sum(w.runs * max(w.flops / rate, w.bytes / device.bandwidth) for w in done)


def estimate(
    found: tuple[Site, ...], chunk: Env, context: int, step: Env | None, storage: Storage, device: Device,
    e: Efficiency, *, source_is_prompt: bool, fits: bool,
) -> Speed:  # fmt: skip
    """`chunk`: sizes of the middle chunk of the prompt; `step`: of one new token at the context, or None.

    A source that is not the prompt (an image) runs once before it.
    """
    rate = device.rate(storage.precision.activations)
    if rate is None:
        return Speed(None, None, "unknown", None, None, None, None, None)
    once = work(found, chunk, storage, source=True, step=False, last=False)
    chunks = work(found, chunk, storage, source=False, step=True, last=step is not None)
    passes = context / chunk["S"]
    if source_is_prompt and step is not None:  # the generating stack starts empty
        chunks, once, passes = once, [], 1.0
    first, apart = time(chunks, device, rate, e), time(once, device, rate, e).total if once else 0.0
    tokens = chunk["B"] * context
    prefill = tokens / (passes * first.total + apart)
    prefill_limit = tokens / (passes * least(chunks, device, rate) + least(once, device, rate))
    bound = first.bound if fits else "capacity"
    if step is None:
        return Speed(prefill, prefill_limit, bound, None, None, None, None, None)
    one = work(found, step, storage, source=False, step=True, last=True)
    each = time(one, device, rate, e)
    return Speed(
        prefill, prefill_limit, bound, step["B"] / each.total, step["B"] / least(one, device, rate),
        each.bound if fits else "capacity", _compute_bound_batch(one, step["B"], device, rate),
        round(sum(w.bytes * w.runs for w in one)),
    )  # fmt: skip


def _compute_bound_batch(one: Iterable[Work], batch: int, device: Device, rate: float) -> int | None:
    """Weights are read once for the batch, everything else once for each sequence."""
    weights = own = flops = 0.0
    for w in one:
        weights += w.weight_bytes * w.runs
        own += (w.bytes - w.weight_bytes) * w.runs / batch
        flops += w.flops * w.runs / batch
    gain = flops / rate - own / device.bandwidth
    return None if gain <= 0 else max(1, -(-int(weights / device.bandwidth / gain * 1000) // 1000))
