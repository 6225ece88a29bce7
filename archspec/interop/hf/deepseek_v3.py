"""DeepSeek-V3 and R1: sigmoid scores, a bias that takes part in the choice only, groups by the sum of their two best.

Defaults: transformers 5.23 `models/deepseek_v3/configuration_deepseek_v3.py` DeepseekV3Config.
"""

from typing import Any

from archspec.interop.hf import latent_decoder, rms_decoder
from archspec.interop.hf.config import Config
from archspec.interop.hf.experts import Experts, read_count, read_top_k
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.latent_decoder import LatentDecoder, read_groups
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

DEFAULTS = rms_decoder.Defaults(
    vocab_size=129280, d_ff=18432, max_length=4096, d_model=7168, n_layers=61, n_heads=128
)  # fmt: skip
SUM_EPS = 1e-20


def read(config: Config) -> LatentDecoder:
    config.fixed("scoring_func", "sigmoid")
    config.fixed("topk_method", "noaux_tc")
    config.fixed("head_dim", config.integer("qk_rope_head_dim", 64))  # what rotates, here under this name too
    count = read_count(config, "n_routed_experts", 256, other="num_local_experts")
    d_ff = config.integer("moe_intermediate_size", 2048)
    normalised = config.flag("norm_topk_prob", True)
    experts = Experts(
        count,
        d_ff,
        read_top_k(config, count, 8),
        activation="",
        normalised=normalised,
        shared=d_ff * config.integer("n_shared_experts", 1),
        score="sigmoid",
        select_bias=True,
        groups=read_groups(config, count, 8, 4, "top2_sum"),
        sum_eps=SUM_EPS if normalised else 0,
        scale=config.number("routed_scaling_factor", 2.5),
    )
    interleaved = config.flag("rope_interleave", True)
    return latent_decoder.read(config, DEFAULTS, experts, dense=3, interleaved=interleaved)


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return latent_decoder.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    ahead = config.integer(
        "num_nextn_predict_layers",
        config.integer("num_mtp_layers", 1, least=0, null=True),
        least=0,
        most=100,
        null=True,
    )
    return latent_decoder.tensors(read(config), head, ahead)


def to_config(resolved: Resolved) -> dict[str, Any]:
    m = latent_decoder.measured(resolved)
    if m.experts.score != "sigmoid" or not m.experts.select_bias:
        raise CannotSay("sigmoid scores and a bias for the choice")
    return latent_decoder.fields(m) | {"rope_interleave": m.interleaved}


FAMILY = Family(
    model_type="deepseek_v3",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"DeepseekV3ForCausalLM": "tokens", "DeepseekV3Model": "none"},
    # Nothing reads qk_head_dim; the rest is about training and about layers that predict further ahead, which the
    # forward leaves out.
    inert=frozenset({
        "qk_head_dim", "num_nextn_predict_layers", "num_mtp_layers", "output_router_logits", "ep_size",
        "aux_loss_alpha", "seq_aux", "auto_map",
    }),
)  # fmt: skip
