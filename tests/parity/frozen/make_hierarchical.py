"""Fixtures of h-transformer-1d 0.1.9: its transformer over whole and over padded sequences.

    pip install torch==2.13.0 safetensors numpy rotary-embedding-torch==0.9.1 einops
    pip install h-transformer-1d==0.1.9
    python -m tests.parity.frozen.make_hierarchical

A sequence that is no power of two long is given with a mask: without one the package lets its own padding be seen.
`flops`: the matrix products of one forward without a mask, by torch's counter.
"""

import torch
from h_transformer_1d import HTransformer1D
from torch.utils.flop_counter import FlopCounterMode

from tests.parity.frozen.drawing import ids, redraw, save

VOCABULARY = 31
# Levels added to the finest: none, one, two. Padding never fills a block's whole neighbour.
LENGTHS = {16: 14, 32: 30, 64: 61}  # rows -> how many are real in the second sequence


@torch.no_grad()
def main() -> None:
    model = HTransformer1D(num_tokens=VOCABULARY, dim=24, depth=2, max_seq_len=64, heads=3, dim_head=8, block_size=4)
    frequencies = model.pos_emb.freqs.clone()  # a parameter that is never trained: 10000 ** (-2i / d)
    redraw(model)
    model.pos_emb.freqs.copy_(frequencies)
    tokens = ids(VOCABULARY, 2, max(LENGTHS))
    outputs = {}
    for rows, real in LENGTHS.items():
        mask = torch.ones(2, rows, dtype=torch.bool)
        mask[1, real:] = False
        outputs[f"whole_{rows}"] = model(tokens[:, :rows])
        outputs[f"padded_{rows}"] = model(tokens[:, :rows], mask=mask)
        outputs[f"short_{rows}"] = model(tokens[:, : rows - 3], mask=torch.ones(2, rows - 3, dtype=torch.bool))
    with FlopCounterMode(display=False) as counter:
        model(tokens)
    outputs["flops"] = torch.tensor(counter.get_total_flops())
    save("hierarchical", model, {"tokens": tokens}, outputs, drop="freqs")


if __name__ == "__main__":
    main()
