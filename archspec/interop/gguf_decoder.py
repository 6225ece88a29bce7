"""Llama, Qwen2 and Qwen3 in GGUF: keys -> a decoder, and tensor names -> our parameter paths."""

from typing import Any

from archspec.interop.gguf_file import GgufFile
from archspec.interop.gguf_keys import INERT, Keys, tensor_shape
from archspec.interop.gguf_scaling import rope_scaling
from archspec.interop.hf import rms_decoder, rms_tensors
from archspec.interop.recipe import PermuteRope, Stored, substitute
from archspec.interop.tensor_map import TensorMap

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
PARTS = {"q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output"}


def read(file: GgufFile, architecture: str) -> rms_decoder.Decoder:
    keys = Keys(file, architecture)
    keys.fixed("expert_count", 0)
    keys.fixed("attention.causal", True)
    embedding = tensor_shape(file, "token_embd.weight")
    d_model, n_heads = keys.integer("embedding_length"), keys.integer("attention.head_count")
    d_head = keys.integer("attention.key_length", d_model // n_heads)
    rotated = keys.integer("rope.dimension_count", d_head)
    if keys.integer("attention.value_length", d_head) != d_head or rotated != d_head:
        raise keys.fail(
            "rope.dimension_count",
            f"heads of {d_head} with {rotated} rotated and values of another size are not understood",
        )
    n_layers, max_length = keys.layers("block_count"), keys.integer("context_length")
    rope: dict[str, Any] = {"type": "rope", "theta": keys.number("rope.freq_base", 10000.0)}
    if scaling := rope_scaling(file, keys, rope["theta"], d_head, max_length):
        rope["scaling"] = scaling
    decoder = rms_decoder.Decoder(
        vocab_size=embedding[0],
        max_length=max_length,
        d_model=d_model,
        d_ff=keys.integer("feed_forward_length"),
        n_heads=n_heads,
        n_kv_heads=keys.integer("attention.head_count_kv", n_heads),
        d_head=d_head,
        eps=keys.number("attention.layer_norm_rms_epsilon"),
        activation="silu",
        rope=rope,
        tied="output.weight" not in file.tensors,
        windows=(None,) * n_layers,
        # What the metadata does not say the tensors do.
        attention_bias=tuple(part for part, name in PARTS.items() if f"blk.0.{name}.bias" in file.tensors),
        mlp_bias="blk.0.ffn_up.bias" in file.tensors,
        qk_norm="head" if "blk.0.attn_q_norm.weight" in file.tensors else None,
    )
    keys.finish(INERT)
    return decoder


def tensors(file: GgufFile, architecture: str) -> TensorMap:
    decoder = read(file, architecture)
    theirs = rms_tensors.tensors(decoder, "tokens")
    recipes = {
        path: substitute(recipe, lambda name: Stored(stored_name(name))) for path, recipe in theirs.recipes.items()
    }
    if architecture == "llama":
        # The converter permutes q and k of this architecture so that ggml can rotate neighbouring rows. We rotate
        # halves and turn the rows back: then the spec, its hash and its tensors are those of the Hugging Face folder,
        # and kernels that only know halves apply. The other architectures are stored unpermuted.
        for path, recipe in recipes.items():
            part = path.split(".")[-2]
            if ".attention." in path and part in ("q", "k"):
                recipes[path] = PermuteRope(recipe, decoder.n_heads if part == "q" else decoder.n_kv_heads, "half")
    # rope_freqs holds the divisors of a scaled rotation; the spec says them in words.
    return TensorMap(recipes, unread=("rope_freqs.weight", "blk.*.attn_rot_embd"))


def stored_name(name: str) -> str:
    """The GGUF name of a tensor that a Hugging Face folder calls `name`."""
    stem, _, role = name.rpartition(".")
    if stem.startswith("model.layers."):
        _, _, layer, rest = stem.split(".", 3)
        return f"blk.{layer}.{NAMES[rest]}.{role}"
    return f"{NAMES[stem]}.{role}"
