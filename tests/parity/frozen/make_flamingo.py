"""Fixture of flamingo-pytorch 0.1.2: the resampler of two media, text that looks at them, and both for one medium.

pip install torch==2.13.0 safetensors numpy
pip install flamingo-pytorch==0.1.2
python -m tests.parity.frozen.make_flamingo
"""

import torch
from flamingo_pytorch import GatedCrossAttentionBlock, PerceiverResampler
from torch import nn

from tests.parity.frozen.drawing import drawn, redraw, save

WIDTH, LATENTS, TOKENS = 32, 4, 12


@torch.no_grad()
def main() -> None:
    sizes = {"dim": WIDTH, "dim_head": 8, "heads": 4}
    resampler = PerceiverResampler(**sizes, depth=2, num_latents=LATENTS, num_media_embeds=3, ff_mult=1)
    block = GatedCrossAttentionBlock(**sizes, ff_mult=1)
    model = redraw(nn.ModuleDict({"resampler": resampler, "block": block}))
    for gate in (block.attn_gate, block.ff_gate):  # they start closed
        gate.add_(0.8)
    media, text = drawn("media", 2, 2, 9, WIDTH), drawn("text", 2, TOKENS, WIDTH)
    where = torch.zeros(2, TOKENS, dtype=torch.bool)
    where[:, 2] = where[0, 7] = where[1, 5] = True
    seen = resampler(media)  # (B, media, latents, W)
    first = torch.zeros_like(where)
    first[:, 4] = True
    outputs = {
        "resampled": seen,
        "two": block(text, seen, media_locations=where),
        "one": block(text, resampler(media[:, :1]), media_locations=first),
    }
    inputs = {"media": media, "text": text, "where": where.long(), "first": first.long()}
    save("flamingo", model, inputs, outputs)


if __name__ == "__main__":
    main()
