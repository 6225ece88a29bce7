"""Transformer-XL of transformers 4.35.2, the last version that runs it: weights, ids and log probabilities.

    python -m venv xl && xl/bin/pip install torch==2.13.0 transformers==4.35.2 'numpy<2' safetensors
    xl/bin/python tests/parity/frozen/make_transformer_xl_hf.py

Three segments of 9 tokens with a memory of 12: "plain" and "same_length" begin with an empty memory as the paper's code
does, "zeros" with the twelve rows of zeros that transformers puts there and lets every query see. "one_table" has
clusters without projections (div_val 1).
"""

import zlib
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import TransfoXLConfig, TransfoXLLMHeadModel

SEGMENT, LAYERS = 9, 2
SIZES = {
    "vocab_size": 60, "cutoffs": [20, 40], "d_model": 32, "d_embed": 32, "n_head": 4, "d_head": 8, "d_inner": 48,
    "n_layer": LAYERS, "mem_len": 12, "clamp_len": 10, "dropout": 0.0, "dropatt": 0.0, "eos_token_id": 0,
}  # fmt: skip


def model_of(**more) -> TransfoXLLMHeadModel:
    model = TransfoXLLMHeadModel(TransfoXLConfig(**{**SIZES, **more})).eval()
    for name, value in model.named_parameters():
        noise = torch.randn(value.shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
        if "layer_norm.weight" in name:
            noise = 1 + 0.1 * noise
        elif value.dim() < 2:
            noise = 0.1 * noise
        elif "emb_layers" in name:
            noise = 0.2 * noise
        else:
            noise = noise / value.shape[-1] ** 0.5
        value.data.copy_(noise)
    return model


def segments(model: TransfoXLLMHeadModel, tokens: torch.Tensor, empty: bool) -> torch.Tensor:
    mems = [torch.zeros(0, len(tokens), SIZES["d_model"]) for _ in range(LAYERS)] if empty else None
    outputs = []
    for part in tokens.split(SEGMENT, 1):
        found = model(part, mems=mems)
        outputs.append(found.prediction_scores)
        mems = found.mems
    return torch.cat(outputs, 1)


@torch.no_grad()
def main() -> None:
    tokens = torch.randint(SIZES["vocab_size"], (2, 3 * SEGMENT), generator=torch.Generator().manual_seed(0))
    model = model_of(div_val=2, same_length=False)
    tensors = {f"weights.{k}": v.clone() for k, v in model.state_dict().items()} | {"input_ids": tokens}
    tensors["plain"] = segments(model, tokens, empty=True)
    tensors["zeros"] = segments(model, tokens, empty=False)
    model.transformer.same_length = True
    tensors["same_length"] = segments(model, tokens, empty=True)
    one = model_of(div_val=1, same_length=False)
    layers = {k: v for k, v in model.state_dict().items() if ".layers." in k}
    one.load_state_dict(layers, strict=False)
    tensors |= {f"one_table.{k}": v.clone() for k, v in one.state_dict().items() if k not in layers}
    tensors["one_table"] = segments(one, tokens, empty=True)
    save_file(tensors, Path(__file__).with_name("transformer_xl_hf.safetensors"))


if __name__ == "__main__":
    main()
