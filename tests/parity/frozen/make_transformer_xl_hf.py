"""Fixtures of transformers 4.35.2, the last version that runs Transformer-XL (it needs numpy below 2).

    pip install torch==2.13.0 transformers==4.35.2 'numpy<2' safetensors
    python -m tests.parity.frozen.make_transformer_xl_hf

Log probabilities of three segments of 9 tokens with a memory of 12, larger than a segment and smaller than two, clamped
at a distance of 10. "clusters" and "same_length" begin with an empty memory, as the authors' PyTorch code does;
"zeros" with the rows of zeros that transformers puts there and lets every query see.
"""

import torch
from transformers import TransfoXLConfig, TransfoXLLMHeadModel

from tests.parity.frozen.drawing import ids, redraw, save

SEGMENT, LAYERS, VOCABULARY = 9, 2, 60
SIZES = {
    "vocab_size": VOCABULARY, "cutoffs": [20, 40], "d_model": 32, "d_embed": 32, "n_head": 4, "d_head": 8,
    "d_inner": 48, "n_layer": LAYERS, "mem_len": 12, "clamp_len": 10, "same_length": False, "eos_token_id": 0,
}  # fmt: skip
TOKENS = ids(VOCABULARY, 2, 3 * SEGMENT)


@torch.no_grad()
def segments(model: TransfoXLLMHeadModel, mems: list[torch.Tensor] | None) -> torch.Tensor:
    outputs = []
    for part in TOKENS.split(SEGMENT, 1):
        found = model(part, mems=mems)
        outputs.append(found.prediction_scores)
        mems = found.mems
    return torch.cat(outputs, 1)


def main() -> None:
    empty = [torch.zeros(0, len(TOKENS), 32) for _ in range(LAYERS)]
    model = redraw(TransfoXLLMHeadModel(TransfoXLConfig(**SIZES, div_val=2)))
    outputs = {"clusters": segments(model, empty), "zeros": segments(model, None)}
    model.transformer.same_length = True
    outputs["same_length"] = segments(model, empty)
    save("transformer_xl_hf", model, {"input_ids": TOKENS}, outputs)
    # Clusters of one width share one table and have no projections.
    model = redraw(TransfoXLLMHeadModel(TransfoXLConfig(**SIZES, div_val=1)))
    save("transformer_xl_hf_one_width", model, {"input_ids": TOKENS}, {"clusters": segments(model, empty)})


if __name__ == "__main__":
    main()
