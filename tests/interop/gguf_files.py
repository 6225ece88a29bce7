"""Tiny GGUF files, written with the `gguf` package as llama.cpp's converter writes them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import transformers

Quantise = Callable[[str], gguf.GGMLQuantizationType]

DECODER_NAMES = {
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
GPT2_NAMES = {
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm",
    "lm_head": "output",
    "ln_1": "attn_norm",
    "ln_2": "ffn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}


def permuted(rows: torch.Tensor, heads: int) -> torch.Tensor:
    """LlamaModel.permute of convert_hf_to_gguf.py: halves -> neighbouring pairs."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def converted(model: transformers.PreTrainedModel) -> dict[str, torch.Tensor]:
    """The tensors of a model of transformers under GGUF's names and in its layout."""
    config, names = model.config, GPT2_NAMES if model.config.model_type == "gpt2" else DECODER_NAMES
    out: dict[str, torch.Tensor] = {}
    for name, p in model.named_parameters():
        stem, _, role = name.rpartition(".")
        tensor = p.detach()
        if config.model_type == "gpt2" and tensor.dim() == 2 and ".c_" in name:
            tensor = tensor.T.contiguous()
        if config.model_type == "llama" and ("q_proj" in name or "k_proj" in name):
            tensor = permuted(tensor, config.num_attention_heads if "q_proj" in name else config.num_key_value_heads)
        parts = stem.split(".")
        number = next((i for i, part in enumerate(parts) if part.isdigit()), None)
        prefix = "" if number is None else f"blk.{parts[number]}."
        rest = stem if number is None else ".".join(parts[number + 1 :])
        out[f"{prefix}{names[rest]}.{role}"] = tensor
    return out


def decoder_fields(config: Any) -> dict[str, Any]:
    d_head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
        "attention.key_length": d_head,
        "attention.value_length": d_head,
        "attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        "rope.freq_base": config.rope_parameters["rope_theta"],
    }


def gpt2_fields(config: Any) -> dict[str, Any]:
    return {
        "block_count": config.n_layer,
        "context_length": config.n_positions,
        "embedding_length": config.n_embd,
        "feed_forward_length": 4 * config.n_embd,
        "attention.head_count": config.n_head,
        "attention.layer_norm_epsilon": config.layer_norm_epsilon,
    }


def write(
    path: Path,
    architecture: str,
    fields: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    quantise: Quantise | None = None,
    more: Mapping[str, Any] | None = None,
) -> Path:
    """`fields` are keys of the architecture, `more` whole keys. `quantise` chooses the type of each matrix by name."""
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in {f"{architecture}.{key}": value for key, value in fields.items()}.items():
        _add(writer, key, value)
    for key, value in (more or {}).items():
        _add(writer, key, value)
    for name, tensor in tensors.items():
        kind = quantise(name) if quantise and tensor.dim() == 2 else gguf.GGMLQuantizationType.F32
        data = gguf.quants.quantize(tensor.float().numpy().astype(np.float32), kind)
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case list():
            writer.add_array(key, value)
