"""The cost of one spec on one device: parameters, operations, memory, speed, each with its convention stated."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal

from archspec.errors import InputError
from archspec.spec.canonical import hashes
from archspec.spec.resolved import Resolved
from archspec.spec.tree import Precision
from compiler import pipeline
from compiler.cost import flops, memory, parameters, speed, state
from compiler.cost.calibration import Efficiency, efficiency
from compiler.cost.devices import DEFAULT_DEVICE, Device
from compiler.cost.devices import device as find_device
from compiler.cost.formats import Storage, with_dtype
from compiler.cost.sites import environment, sites, source_is_prompt, stored_copies, whole_prompt
from compiler.cost.training import Training, training
from compiler.ir.parts import why_no_step
from compiler.ir.program import Program
from compiler.lower.program import lower

LARGEST = 10**9
DEFAULT_CONTEXT = 2048  # of a spec without max_length


@dataclass(frozen=True)
class CostReport:
    """What `cost` gives; see each part for its units. no_step: why the model cannot generate, or None."""

    name: str
    context: int
    batch: int
    device: Device
    storage: Storage
    parameters: parameters.Parameters
    cache: state.Cache
    flops: flops.FlopCount
    memory: memory.Memory
    speed: speed.Speed
    efficiency: Efficiency
    prefill_chunk: int
    no_step: str | None
    resolved: Resolved | None = None
    training: Training | None = None  # phase "training" only

    @property
    def total_bytes(self) -> int:
        """Everything the job holds."""
        return self.training.total if self.training else self.memory.total

    @property
    def fits(self) -> bool:
        return self.total_bytes <= self.device.memory_bytes

    @property
    def hash(self) -> str:
        return self._hashes[0]

    @property
    def variant(self) -> str:
        return self._hashes[1]

    @cached_property
    def _hashes(self) -> tuple[str, str]:
        return hashes(self.resolved) if self.resolved else ("", "")

    @property
    def bound(self) -> str:
        """What bounds generation; for a model that cannot step, its forward."""
        return self.speed.decode_bound or self.speed.prefill_bound

    @property
    def why(self) -> str:
        if not self.fits:
            over = (self.total_bytes - self.device.memory_bytes) / 1e9
            return f"does not fit: {over:.1f} GB more than {self.device.name} shows to a program"
        if self.training:
            return f"training: fits, by formula; {self.training.flops_per_step:.3g} operations a step"
        if self.bound == "unknown":
            return f"no rate of {self.device.name} in {self.storage.precision.activations} is known"
        what = {
            "memory": f"bandwidth bounds it ({self.device.gigabytes_per_second:g} GB/s)",
            "compute": "matrix products bound it",
            "launch": "fixed costs of operations bound it, not the device's rates",
        }[self.bound]
        if self.speed.decode_bytes is None:
            return f"forward: {what}"
        batch = self.speed.compute_bound_batch
        later = f"compute bound from batch {batch:,}" if batch else "at no batch compute bound at this context"
        return f"decode: {what}, {self.speed.decode_bytes / 1e9:.2f} GB a step; {later}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know beside the numbers."""
        found = []
        longest = self.resolved.max_length if self.resolved else None
        if longest and self.context > longest:
            found.append(f"the context is longer than the spec's max_length of {longest:,}: quality there is unknown")
        if self.no_step:
            found.append(f"no generation: {self.no_step}")
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """What `show --json` prints: plain numbers, bytes and operations; null where there is no such number."""
        p, c, f, m, s = self.parameters, self.cache, self.flops, self.memory, self.speed
        memory = {**asdict(m), "total": m.total}
        extra: dict[str, Any] = {}
        if self.training:
            memory = {"cache": 0, **asdict(self.training)}
            extra = {"training_step": memory.pop("flops_per_step")}
        return {
            "name": self.name,
            "hash": self.hash,
            "variant": self.variant,
            "parameters": {
                "total": p.total, "active": p.active, "stored": p.stored, "non_embedding": p.non_embedding,
                "non_embedding_active": p.non_embedding_active, "by_kind": dict(p.by_kind),
            },
            "cache": {
                "bytes_per_token": c.bytes_per_token,
                "cross_bytes_per_encoder_token": c.cross_bytes_per_encoder_token,
                "constant_bytes": c.constant_bytes, "at_context": c.at_context,
            },
            "flops": {
                "prefill": f.prefill, "decode": f.decode, "prefill_exact": f.prefill_exact,
                "prefill_generation": f.prefill_generation, "decode_exact": f.decode_exact,
                **extra,
            },
            "memory": memory,
            "speed": {
                "prefill_tokens_per_second": s.prefill_tokens_per_second,
                "decode_tokens_per_second": s.decode_tokens_per_second,
                "bound": self.bound, "prefill_bound": s.prefill_bound,
                "prefill_tokens_per_second_limit": s.prefill_limit,
                "decode_tokens_per_second_limit": s.decode_limit,
                "compute_bound_batch": s.compute_bound_batch,
            },
            "phase": "training" if self.training else "inference", "device": self.device.name,
            "context": self.context, "batch": self.batch,
            "prefill_chunk": self.prefill_chunk, "fits": self.fits, "why": self.why, "no_step": self.no_step,
            "notes": list(self.notes),
        }  # fmt: skip


def cost(
    resolved: Resolved, *, context: int | None = None, batch: int = 1, dtype: str | None = None,
    device: str | Device = DEFAULT_DEVICE, phase: Literal["inference", "training"] = "inference",
    chunk: int | None = None, materialised: bool = False,
    calibration: Mapping[str, Mapping[str, float]] | None = None,
) -> CostReport:  # fmt: skip
    """Cost of `resolved` at `context` tokens (its max_length if None) and `batch` sequences.

    dtype replaces the spec's precision (see `formats.with_dtype`). phase "training": the memory of a training step.
    chunk: tokens of the prompt at once. materialised: attention keeps its scores in memory. calibration: measured
    efficiencies by device (see `calibration`). InputError names what the compiler cannot lower.
    """
    precision = with_dtype(resolved.spec.precision, dtype)
    if precision != resolved.spec.precision:
        resolved = replace(resolved, spec=resolved.spec.model_copy(update={"precision": precision}))
    plain = lower(resolved)
    program, _ = pipeline.run(plain)
    storage = storage_of(plain, precision)
    if context is None:
        context = resolved.max_length or DEFAULT_CONTEXT
    report = cost_of_program(
        program, storage, context=context, batch=batch, device=device, chunk=chunk,
        materialised=materialised, calibration=calibration,
    )  # fmt: skip
    if phase == "training":
        length = report.context
        step = training(
            plain, environment(plain, batch, length, length, length), report.storage, report.device,
            parameters=report.parameters.total, flops=report.flops.prefill,
        )  # fmt: skip
        report = replace(report, training=step)
    return replace(report, resolved=resolved)


def storage_of(plain: Program, precision: Precision) -> Storage:
    """Where the tensors of this program are kept, the paths that the precision names among them."""
    return Storage(precision).over((path, p.kind, p.shape) for path, p in plain.parameter_paths().items())


def cost_of_program(
    program: Program, storage: Storage, *, context: int, batch: int = 1, device: str | Device = DEFAULT_DEVICE,
    chunk: int | None = None, materialised: bool = False,
    calibration: Mapping[str, Mapping[str, float]] | None = None,
) -> CostReport:  # fmt: skip
    """Cost of a program already lowered (and rewritten); hashes are empty."""
    for name, value in (("context", context), ("batch", batch), ("chunk", chunk)):
        if value is not None and not 1 <= value <= LARGEST:
            raise InputError(
                f"found {value}, a whole number of at least 1 and at most {LARGEST:.0e} is needed", source=f"--{name}"
            )
    where = find_device(device) if isinstance(device, str) else device
    expected = efficiency(where.name, where.kind, calibration)
    found = sites(program)
    no_step = why_no_step(program)
    can_step = no_step is None
    size = memory.prefill_chunk(context, chunk, can_step and not whole_prompt(found))
    whole = environment(program, batch, context, context, context)
    step = environment(program, batch, 1, context, context) if can_step else None
    counted = parameters.count(program, found, stored_copies(program), storage)
    kept = state.count(found, whole, storage, can_step)
    held = memory.inference(
        program, found, {**whole, "S": size}, storage, where,
        weights=counted.weight_bytes, cache=kept.at_context * batch, can_step=can_step, materialised=materialised,
    )  # fmt: skip
    middle = {**whole, "S": size, "T": (context + size) // 2}  # work is linear in the tokens seen before a chunk
    fast = speed.estimate(
        found, middle, context, step, storage, where, expected, source_is_prompt=source_is_prompt(program),
        fits=held.total <= where.memory_bytes,
    )  # fmt: skip
    return CostReport(
        program.name, context, batch, where, storage, counted, kept, flops.count(found, whole, step), held, fast,
        expected, size, no_step,
    )  # fmt: skip
