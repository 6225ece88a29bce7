"""A small space with an exact, cheap evaluator: what it says can be enumerated by hand."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archspec.errors import InputError
from search.evaluator import Evaluation, Examined, Memory, Setting
from search.quality import AttentionLayer, Traits
from search.space import Hole

SETTING = Setting(context=4096, batch=1, device="toy")
RESERVE = 10**8
WORKSPACE = 2 * 10**7  # only the whole evaluation sees it


class ToySpace:
    """Width, two depths that are tied, KV heads of which 6 breaks a rule, precision: 5 * 4 * 4 * 3 * 2 * 2 places."""

    name = "toy"

    def __init__(self, widths: tuple[int, ...] = (256, 512, 1024, 2048, 4096)) -> None:
        self.holes = (
            Hole("width", widths),
            Hole("lower/depth", (2, 4, 8, 16), "depth"),
            Hole("upper/depth", (2, 4, 8, 16), "depth"),
            Hole("kv", (1, 4, 6)),
            Hole("plain", (False, True)),
            Hole("bits", (8, 16)),
        )
        self.text = json.dumps([[hole.name, hole.options] for hole in self.holes])

    def fill(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return dict(values)


def digest(spec: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()


@dataclass
class ToyEvaluator:
    """8 query heads: 6 KV heads break a rule. `evaluated` counts by variant."""

    setting: Setting = SETTING
    evaluated: dict[str, int] = field(default_factory=dict)

    def examine(self, spec: dict[str, Any]) -> Examined:
        if 8 % spec["kv"]:
            raise InputError(f"n_heads (8) must be a multiple of n_kv_heads, found {spec['kv']}")
        weights = self._parameters(spec) * spec["bits"] // 8
        cache = 2 * self._depth(spec) * spec["kv"] * (spec["width"] // 8) * 2 * self.setting.context
        return Examined(Memory({"weights": weights, "cache": cache, "reserve": RESERVE}), spec)

    def variant(self, examined: Examined) -> str:
        return digest(examined.handle)

    def evaluate(self, examined: Examined) -> Evaluation:
        spec = examined.handle
        variant = digest(spec)
        self.evaluated[variant] = self.evaluated.get(variant, 0) + 1
        parameters = self._parameters(spec)
        memory = Memory({**examined.memory.terms, "workspace": WORKSPACE})
        mixing = self._depth(spec) * spec["width"] ** 2 * (2 + spec["kv"] // 4)
        return Evaluation(
            hash=digest({key: value for key, value in spec.items() if key != "bits"}),
            variant=variant,
            spec=json.dumps(spec, sort_keys=True),
            memory=memory,
            decode_tokens_per_second=1e12 / (memory.terms["weights"] + memory.terms["cache"]),
            prefill_tokens_per_second=1e14 / parameters,
            decode_bound="memory",
            parameters_total=parameters,
            parameters_active=parameters,
            parameters_active_non_embedding=parameters,
            precision=f"{spec['bits']} bits",
            traits=Traits(
                active_parameters=parameters,
                n_layers=self._depth(spec),
                d_model=spec["width"],
                attention=(AttentionLayer(8 / spec["kv"], None),) * self._depth(spec),
                other_mixers=0,
                mixing_parameters=mixing,
                feed_forward_parameters=parameters - mixing,
                plain_feed_forward=float(spec["plain"]),
                weight_bits=spec["bits"],
                cache_bits=16,
                context=self.setting.context,
            ),
        )

    @staticmethod
    def _depth(spec: dict[str, Any]) -> int:
        return int(spec["lower/depth"]) + int(spec["upper/depth"])

    def _parameters(self, spec: dict[str, Any]) -> int:
        return self._depth(spec) * int(spec["width"]) ** 2 * (14 if spec["plain"] else 16)
