"""DeepSeek-V2 and its Lite: softmax scores, groups by their best expert, weights as they are scored.

Defaults: transformers 5.23 `models/deepseek_v2/configuration_deepseek_v2.py` DeepseekV2Config. Its router knows
`norm_topk_prob` but does not act on it, so only false is understood.
"""

from typing import Any

from archspec.interop.hf import latent_decoder, rms_decoder
from archspec.interop.hf.config import Config
from archspec.interop.hf.experts import Experts, read_count, read_top_k
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.latent_decoder import LatentDecoder, read_groups
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

DEFAULTS = rms_decoder.Defaults(vocab_size=102400, d_ff=11008, max_length=2048)
METHODS = {"greedy": "greedy", "group_limited_greedy": "group_limited_greedy"}


def read(config: Config) -> LatentDecoder:
    config.fixed("scoring_func", "softmax")
    config.fixed("norm_topk_prob", False)
    count = read_count(config, "n_routed_experts", 64, other="num_experts")
    d_ff = config.integer("moe_intermediate_size", 1407)
    limited = config.word("topk_method", "greedy", METHODS) == "group_limited_greedy"
    config.get("n_group"), config.get("topk_group")
    experts = Experts(
        count,
        d_ff,
        read_top_k(config, count, None),
        activation="",
        normalised=False,
        shared=d_ff * config.integer("n_shared_experts", 2),
        groups=read_groups(config, count, None, None, "max") if limited else None,
        scale=config.number("routed_scaling_factor", 1.0),
    )
    return latent_decoder.read(config, DEFAULTS, experts, dense=0, interleaved=True)


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return latent_decoder.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return latent_decoder.tensors(read(config), head)


def to_config(resolved: Resolved) -> dict[str, Any]:
    m = latent_decoder.measured(resolved)
    if m.experts.normalised or m.experts.score != "softmax" or not m.interleaved:
        raise CannotSay("softmax scores, taken as they are, and interleaved pairs")
    method = "group_limited_greedy" if m.experts.groups else "greedy"
    return latent_decoder.fields(m) | {"topk_method": method}


FAMILY = Family(
    model_type="deepseek_v2",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"DeepseekV2ForCausalLM": "tokens", "DeepseekV2Model": "none"},
    # head_dim and qk_head_dim are set anew from the other sizes; the rest is about training.
    inert=frozenset({
        "head_dim", "qk_head_dim", "output_router_logits", "ep_size", "aux_loss_alpha", "seq_aux", "auto_map",
    }),
)  # fmt: skip
