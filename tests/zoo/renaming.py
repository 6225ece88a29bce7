"""Where transformers 5 keeps the tensors of our parameter paths: one table of patterns for each family.

A target is a name (with groups of the pattern filled in), or a function of the stored tensors and the match. The first
pattern that fits counts.
"""

import re
from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

Stored = Mapping[str, Tensor]
Target = str | Callable[[Stored, re.Match[str]], Tensor]
Table = dict[str, Target]


def renamed(paths: Iterable[str], stored: Stored, table: Table) -> dict[str, Tensor]:
    """Every path with its tensor; KeyError names a path that no pattern fits."""
    return {path: _find(path, stored, table) for path in paths}


def _find(path: str, stored: Stored, table: Table) -> Tensor:
    for pattern, target in table.items():
        if match := re.fullmatch(pattern, path):
            return stored[match.expand(target)] if isinstance(target, str) else target(stored, match)
    raise KeyError(path)


def part(name: str, *, of: int = 2, axis: int = 0, names: tuple[str, ...] = ("gate", "up")) -> Target:
    """One of equal parts of a fused tensor; the last group but one of the pattern (or the last) says which."""

    def target(stored: Stored, match: re.Match[str]) -> Tensor:
        which = next(i for i, n in enumerate(names) if n in match.groups())
        return stored[match.expand(name)].chunk(of, axis)[which]

    return target


def heads_of_qkv(name: str, kv: int, per: int) -> Target:
    """From rows ordered (kv group, per query heads + k + v, d_head)."""

    def target(stored: Stored, match: re.Match[str]) -> Tensor:
        fused = stored[match.expand(name)]
        rows = fused.unflatten(0, (kv, per + 2, -1))
        taken = {"q": slice(0, per), "k": slice(per, per + 1), "v": slice(per + 1, per + 2)}[match["role"]]
        return rows[:, taken].flatten(0, 2)

    return target


def flat(name: str) -> Target:
    """A tensor with its axes of size one taken out."""
    return lambda stored, match: stored[match.expand(name)].squeeze()


L = r"decoder\.(\d+)\."
LLAMA: Table = {
    r"decoder\.text\.tokens\.weight": "model.embed_tokens.weight",
    r"decoder\.final_norm\.weight": "model.norm.weight",
    r"head\.logits\.weight": "lm_head.weight",
    L + r"\w*attention\.pre_norm\.weight": r"model.layers.\1.input_layernorm.weight",
    L + r"(?:gated_mlp|moe)\.pre_norm\.weight": r"model.layers.\1.post_attention_layernorm.weight",
    L + r"attention\.([qkvo])\.(weight|bias)": r"model.layers.\1.self_attn.\2_proj.\3",
    L + r"attention\.([qk])_norm\.weight": r"model.layers.\1.self_attn.\2_norm.weight",
    L + r"gated_mlp\.(gate|up|down)\.weight": r"model.layers.\1.mlp.\2_proj.weight",
}
GLM: Table = {
    L + r"gated_mlp\.(gate|up)\.weight": part(r"model.layers.\1.mlp.gate_up_proj.weight"),
    **LLAMA,
    L + r"attention\.out_norm\.weight": r"model.layers.\1.post_self_attn_layernorm.weight",
    L + r"gated_mlp\.out_norm\.weight": r"model.layers.\1.post_mlp_layernorm.weight",
}
SANDWICH: Table = {
    r"vocab\.weight": "model.embed_tokens.weight",
    L + r"attention\.out_norm\.weight": r"model.layers.\1.post_attention_layernorm.weight",
    L + r"gated_mlp\.out_norm\.weight": r"model.layers.\1.post_feedforward_layernorm.weight",
    L + r"gated_mlp\.pre_norm\.weight": r"model.layers.\1.pre_feedforward_layernorm.weight",
    **LLAMA,
}
PHI3: Table = {
    L + r"gated_mlp\.(gate|up)\.weight": part(r"model.layers.\1.mlp.gate_up_proj.weight"),
    L + r"attention\.([qkv])\.weight": part(r"model.layers.\1.self_attn.qkv_proj.weight", of=3, names=("q", "k", "v")),
    **LLAMA,
}
NEOX: Table = {
    r"decoder\.text\.tokens\.weight": "gpt_neox.embed_in.weight",
    r"head\.logits\.weight": "lm_head.weight",
    r"decoder\.final_norm\.(weight|bias)": r"gpt_neox.final_layer_norm.\1",
    L + r"attention\.pre_norm\.(weight|bias)": r"gpt_neox.layers.\1.input_layernorm.\2",
    L + r"mlp\.pre_norm\.(weight|bias)": r"gpt_neox.layers.\1.post_attention_layernorm.\2",
    L + r"attention\.(?P<role>[qkv])\.(weight|bias)": heads_of_qkv(
        r"gpt_neox.layers.\1.attention.query_key_value.\3", 4, 1
    ),
    L + r"attention\.o\.(weight|bias)": r"gpt_neox.layers.\1.attention.dense.\2",
    L + r"mlp\.up\.(weight|bias)": r"gpt_neox.layers.\1.mlp.dense_h_to_4h.\2",
    L + r"mlp\.down\.(weight|bias)": r"gpt_neox.layers.\1.mlp.dense_4h_to_h.\2",
}
MOE: Table = {
    **LLAMA,
    L + r"moe\.router\.weight": r"model.layers.\1.mlp.gate.weight",
    L + r"moe\.router\.select_bias": r"model.layers.\1.mlp.gate.e_score_correction_bias",
    L + r"moe\.experts\.(gate|up)\.weight": part(r"model.layers.\1.mlp.experts.gate_up_proj", axis=1),
    L + r"moe\.experts\.down\.weight": r"model.layers.\1.mlp.experts.down_proj",
    L + r"moe\.shared_gate\.weight": r"model.layers.\1.mlp.shared_expert_gate.weight",
    L + r"moe\.shared\.(gate|up|down)\.weight": r"model.layers.\1.mlp.shared_expert.\2_proj.weight",
}
DEEPSEEK: Table = {
    **MOE,
    L + r"moe\.shared\.(gate|up|down)\.weight": r"model.layers.\1.mlp.shared_experts.\2_proj.weight",
    L + r"latent_attention\.q_down\.weight": r"model.layers.\1.self_attn.q_a_proj.weight",
    L + r"latent_attention\.q_norm\.weight": r"model.layers.\1.self_attn.q_a_layernorm.weight",
    L + r"latent_attention\.q\.weight": r"model.layers.\1.self_attn.q_b_proj.weight",
    L + r"latent_attention\.kv_down\.weight": r"model.layers.\1.self_attn.kv_a_proj_with_mqa.weight",
    L + r"latent_attention\.kv_norm\.weight": r"model.layers.\1.self_attn.kv_a_layernorm.weight",
    L + r"latent_attention\.kv_up\.weight": r"model.layers.\1.self_attn.kv_b_proj.weight",
    L + r"latent_attention\.o\.weight": r"model.layers.\1.self_attn.o_proj.weight",
}
DEEPSEEK_LITE: Table = {**DEEPSEEK, L + r"latent_attention\.q\.weight": r"model.layers.\1.self_attn.q_proj.weight"}
MINIMAX: Table = {
    **MOE,
    L + r"linear_attention\.inner_norm\.weight": r"model.layers.\1.self_attn.norm.weight",
    L + r"linear_attention\.gate\.weight": r"model.layers.\1.self_attn.output_gate.weight",
    L + r"linear_attention\.o\.weight": r"model.layers.\1.self_attn.out_proj.weight",
    # Rows by head, and within a head q, k, v.
    L + r"linear_attention\.(?P<role>[qkv])\.weight": heads_of_qkv(r"model.layers.\1.self_attn.qkv_proj.weight", 4, 1),
}


def bloom_like(kv: int, per: int) -> Table:
    """BLOOM and Falcon: fused rows by group of `per` query heads."""
    fused = heads_of_qkv(r"transformer.h.\1.self_attention.query_key_value.\3", kv, per)
    return {
        r"vocab\.weight": "transformer.word_embeddings.weight",
        r"head\.logits\.weight": "lm_head.weight",
        r"decoder\.text\.tokens\.weight": "transformer.word_embeddings.weight",
        r"decoder\.text\.then\.0\.(weight|bias)": r"transformer.word_embeddings_layernorm.\1",
        r"decoder\.final_norm\.(weight|bias)": r"transformer.ln_f.\1",
        L + r"attention\.(?P<role>[qkv])\.(weight|bias)": fused,
        L + r"attention\.o\.(weight|bias)": r"transformer.h.\1.self_attention.dense.\2",
        L + r"mlp\.up\.(weight|bias)": r"transformer.h.\1.mlp.dense_h_to_4h.\2",
        L + r"mlp\.down\.(weight|bias)": r"transformer.h.\1.mlp.dense_4h_to_h.\2",
        L + r"(?:attention\.)?pre_norm\.(weight|bias)": r"transformer.h.\1.input_layernorm.\2",
        L + r"mlp\.pre_norm\.(weight|bias)": r"transformer.h.\1.post_attention_layernorm.\2",
    }


FALCON_TWO_NORMS: Table = {
    L + r"attention\.pre_norm\.(weight|bias)": r"transformer.h.\1.ln_attn.\2",
    **bloom_like(2, 2),
    L + r"mlp\.pre_norm\.(weight|bias)": r"transformer.h.\1.ln_mlp.\2",
}
# Multi-query: all query heads, then one k and one v.
FALCON_ONE_KV: Table = bloom_like(1, 4)
MPT: Table = {
    r"vocab\.weight": "transformer.wte.weight",
    r"decoder\.final_norm\.weight": "transformer.norm_f.weight",
    L + r"attention\.([qkv])\.weight": part(r"transformer.blocks.\1.attn.Wqkv.weight", of=3, names=("q", "k", "v")),
    L + r"attention\.o\.weight": r"transformer.blocks.\1.attn.out_proj.weight",
    L + r"mlp\.(up|down)\.weight": r"transformer.blocks.\1.ffn.\2_proj.weight",
    L + r"attention\.pre_norm\.weight": r"transformer.blocks.\1.norm_1.weight",
    L + r"mlp\.pre_norm\.weight": r"transformer.blocks.\1.norm_2.weight",
}


def mamba(layer: str) -> Table:
    """The mixers of Mamba, Mamba-2 and Jamba under `layer`."""
    mixer = L + r"(?:selective_scan|ssd)\."
    return {
        mixer + r"a_log": layer + "A_log",
        mixer + r"d": layer + "D",
        mixer + r"dt_bias": layer + "dt_bias",
        mixer + r"conv\.weight": flat(layer + "conv1d.weight"),
        mixer + r"conv\.bias": layer + "conv1d.bias",
        mixer + r"(in|x|dt|out)\.(weight|bias)": layer + r"\2_proj.\3",
        mixer + r"inner_norm\.weight": layer + "norm.weight",
        mixer + r"(dt|b|c)_norm\.weight": layer + r"\2_layernorm.weight",
    }


MAMBA: Table = {
    r"vocab\.weight": "backbone.embeddings.weight",
    r"decoder\.text\.tokens\.weight": "backbone.embeddings.weight",
    r"head\.logits\.weight": "lm_head.weight",
    r"decoder\.final_norm\.weight": "backbone.norm_f.weight",
    L + r"\w+\.pre_norm\.weight": r"backbone.layers.\1.norm.weight",
    **mamba(r"backbone.layers.\1.mixer."),
}
JAMBA: Table = {
    **LLAMA,
    r"decoder\.final_norm\.weight": "model.final_layernorm.weight",
    L + r"(?:gated_mlp|moe)\.pre_norm\.weight": r"model.layers.\1.pre_ff_layernorm.weight",
    L + r"(?:selective_scan|attention)\.pre_norm\.weight": r"model.layers.\1.input_layernorm.weight",
    L + r"gated_mlp\.(gate|up|down)\.weight": r"model.layers.\1.feed_forward.\2_proj.weight",
    L + r"moe\.router\.weight": r"model.layers.\1.feed_forward.router.weight",
    L + r"moe\.experts\.(gate|up)\.weight": part(r"model.layers.\1.feed_forward.experts.gate_up_proj", axis=1),
    L + r"moe\.experts\.down\.weight": r"model.layers.\1.feed_forward.experts.down_proj",
    **mamba(r"model.layers.\1.mamba."),
}
_WORD = {"k": "key", "v": "value", "r": "receptance", "up": "key", "gate": "receptance", "down": "value"}
RWKV: Table = {
    r"decoder\.text\.tokens\.weight": "rwkv.embeddings.weight",
    r"decoder\.text\.then\.0\.(weight|bias)": r"rwkv.blocks.0.pre_ln.\1",
    r"decoder\.final_norm\.(weight|bias)": r"rwkv.ln_out.\1",
    r"head\.logits\.weight": "head.weight",
    L + r"wkv\.pre_norm\.(weight|bias)": r"rwkv.blocks.\1.ln1.\2",
    L + r"shifted_mlp\.pre_norm\.(weight|bias)": r"rwkv.blocks.\1.ln2.\2",
    L + r"wkv\.decay": r"rwkv.blocks.\1.attention.time_decay",
    L + r"wkv\.first": r"rwkv.blocks.\1.attention.time_first",
    L + r"wkv\.mix_(\w)": lambda s, m: s[f"rwkv.blocks.{m[1]}.attention.time_mix_{_WORD[m[2]]}"].flatten(),
    L + r"wkv\.o\.weight": r"rwkv.blocks.\1.attention.output.weight",
    L + r"wkv\.(\w)\.weight": lambda s, m: s[f"rwkv.blocks.{m[1]}.attention.{_WORD[m[2]]}.weight"],
    L + r"shifted_mlp\.mix_(\w+)": lambda s, m: s[f"rwkv.blocks.{m[1]}.feed_forward.time_mix_{_WORD[m[2]]}"].flatten(),
    L + r"shifted_mlp\.(\w+)\.weight": lambda s, m: s[f"rwkv.blocks.{m[1]}.feed_forward.{_WORD[m[2]]}.weight"],
}
