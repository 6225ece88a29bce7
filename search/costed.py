"""The real evaluator: every answer comes from the compiler's cost model."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from archspec.spec import Resolved, load_spec, resolve
from archspec.spec.canonical import canonical, canonical_precision, spec_hash, variant_hash
from compiler import pipeline
from compiler.cost import memory, parameters, state
from compiler.cost.devices import device as find_device
from compiler.cost.formats import Storage
from compiler.cost.parameters import Parameters
from compiler.cost.report import cost_of_program, storage_of
from compiler.cost.sites import environment, sites, stored_copies
from compiler.ir.parts import why_no_step
from compiler.ir.program import Program
from compiler.lower.program import lower
from search.evaluator import Evaluation, Examined, Memory, Setting
from search.traits import traits_of


@dataclass
class _Lowered:
    """What an examination leaves for the next questions."""

    resolved: Resolved
    program: Program
    storage: Storage
    parameters: Parameters

    @cached_property
    def variant(self) -> str:
        return variant_hash(self.resolved)


class CostEvaluator:
    """An `Evaluator`. Errors: InputError for an unknown device."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._device = find_device(setting.device)

    def examine(self, spec: dict[str, Any]) -> Examined:
        """Weights, cache, device context and the reserve on them: exact as far as they go, so the total is no less.

        Errors: InputError for a spec that is not valid or cannot be lowered.
        """
        resolved = resolve(load_spec(spec))
        program = lower(resolved)
        storage = storage_of(program, resolved.spec.precision)
        found = sites(program)
        context, batch = self.setting.context, self.setting.batch
        counted = parameters.count(program, found, stored_copies(program), storage)
        env = environment(program, batch, context, context, context)
        cache = state.count(found, env, storage, why_no_step(program) is None).at_context * batch
        terms = {
            "weights": counted.weight_bytes,
            "cache": cache,
            "workspace": self._device.context_bytes,
            "reserve": round(memory.RESERVE_SHARE * (counted.weight_bytes + cache)),
        }
        handle = _Lowered(resolved, program, storage, counted)
        return Examined(Memory(terms), handle)

    def variant(self, examined: Examined) -> str:
        return str(examined.handle.variant)

    def evaluate(self, examined: Examined) -> Evaluation:
        """Peak memory by liveness over the rewritten graph, roofline speed.

        A model that cannot generate has the speed of its forward, in tokens a second.
        """
        lowered: _Lowered = examined.handle
        setting, precision = self.setting, lowered.storage.precision
        program, _ = pipeline.run(lowered.program)
        report = cost_of_program(
            program, lowered.storage, context=setting.context, batch=setting.batch, device=self._device
        )
        held, speed, counted = report.memory, report.speed, lowered.parameters
        prefill = speed.prefill_tokens_per_second or 0.0
        active = counted.non_embedding_active
        hash_ = spec_hash(lowered.resolved)
        document = {
            **canonical(lowered.resolved),
            "name": f"found-{hash_[:12]}",
            "max_length": lowered.resolved.max_length,
            "precision": canonical_precision(precision),
        }
        return Evaluation(
            hash=hash_,
            variant=lowered.variant,
            spec=json.dumps(document, separators=(",", ":")),
            memory=Memory(
                {
                    "weights": held.weights,
                    "cache": held.cache,
                    "activations": held.activations,
                    "logits": held.logits,
                    "workspace": held.workspace,
                    "reserve": held.reserve,
                }
            ),
            decode_tokens_per_second=speed.decode_tokens_per_second or prefill,
            prefill_tokens_per_second=prefill,
            decode_bound=report.bound,
            parameters_total=counted.total,
            parameters_active=counted.active,
            parameters_active_non_embedding=active,
            precision=_shown(precision.model_dump(mode="json", include={"weights", "cache", "activations"})),
            traits=traits_of(lowered.resolved, lowered.program, active, lowered.storage, setting.context),
        )


def _shown(precision: dict[str, Any]) -> str:
    """`int8 weights, bf16 cache`: short enough for a column."""
    weights = precision["weights"]
    if isinstance(weights, dict):
        weights = "/".join(sorted(set(weights.values())))
    return f"{weights} weights, {precision['cache'] or precision['activations']} cache"
