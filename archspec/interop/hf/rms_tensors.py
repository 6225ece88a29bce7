"""Tensor names of the decoders of `rms_decoder`."""

from archspec.interop.hf import vocabulary
from archspec.interop.hf.family import HeadKind
from archspec.interop.hf.rms_decoder import STACK, Decoder
from archspec.interop.recipe import Recipe, Stored
from archspec.interop.tensor_map import TensorMap, per_layer

BEFORE = {"attention.pre_norm": "input_layernorm", "gated_mlp.pre_norm": "post_attention_layernorm"}
AFTER = {"attention.out_norm": "post_attention_layernorm", "gated_mlp.out_norm": "post_feedforward_layernorm"}
NORMS = {"before": BEFORE, "after": AFTER, "both": BEFORE | {"gated_mlp.pre_norm": "pre_feedforward_layernorm"} | AFTER}


def tensors(decoder: Decoder, head: HeadKind) -> TensorMap:
    layer, ours = "model.layers.{}", f"{STACK}.{{}}"
    templates: dict[str, Recipe] = {
        f"{ours}.{path}.weight": Stored(f"{layer}.{name}.weight") for path, name in NORMS[decoder.norms].items()
    }
    if decoder.sinks:
        templates[f"{ours}.attention.sink.weight"] = Stored(f"{layer}.self_attn.sinks")
    for part in ("q", "k", "v", "o"):
        templates[f"{ours}.attention.{part}.weight"] = Stored(f"{layer}.self_attn.{part}_proj.weight")
        if part in decoder.attention_bias:
            templates[f"{ours}.attention.{part}.bias"] = Stored(f"{layer}.self_attn.{part}_proj.bias")
    if decoder.qk_norm:
        for part in ("q", "k"):
            templates[f"{ours}.attention.{part}_norm.weight"] = Stored(f"{layer}.self_attn.{part}_norm.weight")
    for part in ("gate", "up", "down"):
        templates[f"{ours}.gated_mlp.{part}.weight"] = Stored(f"{layer}.mlp.{part}_proj.weight")
        if decoder.mlp_bias:
            templates[f"{ours}.gated_mlp.{part}.bias"] = Stored(f"{layer}.mlp.{part}_proj.bias")
    between = per_layer(len(decoder.windows), templates)
    between[f"{STACK}.final_norm.weight"] = Stored("model.norm.weight")
    return vocabulary.with_ends(
        between, tied=decoder.tied, head=head, stack=STACK, embedding="model.embed_tokens.weight",
        logits="lm_head.weight", prefix="model.",
        # Older checkpoints stored the frequencies, which follow from the configuration.
        unread=("model.layers.*.self_attn.rotary_emb.inv_freq",),
    )  # fmt: skip
