"""Mixtral: Mistral with a mixture of experts in every layer; the weights of the chosen sum to one.

Defaults: transformers 5.23 `models/mixtral/configuration_mixtral.py` MixtralConfig. Checkpoints name the mixture
`block_sparse_moe` and the matrices of an expert w1 (gate), w3 (up) and w2 (down).
"""

from typing import Any

from archspec.interop.hf import moe_decoder, rms_decoder
from archspec.interop.hf.config import Config
from archspec.interop.hf.experts import Experts, read_count, read_top_k
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.moe_decoder import MoeDecoder
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved

DEFAULTS = rms_decoder.Defaults(
    vocab_size=32000, d_ff=14336, max_length=4096 * 32, n_kv_heads=8, eps=1e-5, theta=1_000_000.0
)
NAMES = moe_decoder.Names(mlp="block_sparse_moe", expert={"gate": "w1", "up": "w3", "down": "w2"})


def read(config: Config) -> MoeDecoder:
    window = None if config.get("sliding_window") is None else config.integer("sliding_window")
    n_layers = config.layers("num_hidden_layers", DEFAULTS.n_layers)
    decoder = rms_decoder.read(config, DEFAULTS, windows=(window,) * n_layers)
    count = read_count(config, "num_local_experts", 8, other="num_experts")
    top_k = read_top_k(config, count, 2)
    experts = Experts(count, decoder.d_ff, top_k, decoder.activation, normalised=True)
    return MoeDecoder(decoder, experts, (True,) * n_layers)


def to_spec(config: Config, head: HeadKind) -> dict[str, Any]:
    return moe_decoder.spec(read(config), head)


def tensors(config: Config, head: HeadKind) -> TensorMap:
    return moe_decoder.tensors(read(config), head, NAMES)


def to_config(resolved: Resolved) -> dict[str, Any]:
    m = moe_decoder.measured(resolved)
    decoder = m.decoder
    if decoder.attention_bias or decoder.qk_norm or len(set(decoder.windows)) != 1 or not all(m.sparse):
        raise CannotSay("no biases, no norm on queries and keys, the same window and a mixture in every layer")
    fields = rms_decoder.fields(decoder) | {"sliding_window": decoder.windows[0]}
    return fields | {"num_local_experts": m.experts.count, "num_experts_per_tok": m.experts.top_k}


FAMILY = Family(
    model_type="mixtral",
    spec=to_spec,
    tensors=tensors,
    config=to_config,
    heads={"MixtralForCausalLM": "tokens", "MixtralModel": "none"},
    # The loss and the noise of training, and what the caller gets back.
    inert=frozenset(["router_aux_loss_coef", "router_jitter_noise", "output_router_logits"]),
)
