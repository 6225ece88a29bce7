"""Fixtures of compressive-transformer-pytorch 0.4.0: memory, compressed memory, three to five segments of eight tokens.

    pip install torch==2.13.0 safetensors numpy
    pip install --no-deps compressive-transformer-pytorch==0.4.0 mogrifier==0.0.5 einops
    python -m tests.parity.frozen.make_compressive_transformer

A memory of 12 rows, four to one, at most three compressed ones, so that slots are dropped from the fourth segment on.
"gru" joins branch and stream by a gated unit, the package's default; "plain" adds them. Memory of a layer comes from
the same layer (enhanced_recurrence off): what the package does by default is another network.
"""

import torch
from compressive_transformer_pytorch import CompressiveTransformer

from tests.parity.frozen.drawing import ids, redraw, save

SEGMENT, VOCABULARY = 8, 61
TOKENS = ids(VOCABULARY, 2, 5 * SEGMENT)


@torch.no_grad()
def main() -> None:
    for name, layers, gated in (("gru", 1, True), ("plain", 2, False)):
        model = CompressiveTransformer(
            num_tokens=VOCABULARY, dim=32, depth=layers, heads=4, seq_len=SEGMENT, mem_len=12, cmem_len=3, cmem_ratio=4,
            gru_gated_residual=gated, enhanced_recurrence=False,
        )  # fmt: skip
        redraw(model)
        memories, outputs = None, []
        for part in TOKENS.split(SEGMENT, 1):
            y, memories, _ = model(part, memories=memories)
            outputs.append(y)
        save(f"compressive_transformer_{name}", model, {"input_ids": TOKENS}, {"logits": torch.cat(outputs, 1)})


if __name__ == "__main__":
    main()
