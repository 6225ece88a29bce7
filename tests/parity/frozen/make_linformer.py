"""Fixture of linformer 0.2.3's language model: as long as its map allows, and shorter; and with one map for all heads.

pip install torch==2.13.0 safetensors numpy
pip install --no-deps linformer==0.2.3
python -m tests.parity.frozen.make_linformer
"""

import torch
from linformer import LinformerLM

from tests.parity.frozen.drawing import ids, redraw, save

VOCABULARY, LENGTH = 61, 24


@torch.no_grad()
def main() -> None:
    tokens = ids(VOCABULARY, 2, LENGTH)
    for name, share in (("linformer", False), ("linformer_shared", True)):
        model = LinformerLM(num_tokens=VOCABULARY, dim=16, seq_len=LENGTH, depth=2, k=8, heads=4, share_kv=share)
        redraw(model)
        outputs = {"whole": model(tokens), "shorter": model(tokens[:, :17])}
        save(name, model, {"tokens": tokens}, outputs)


if __name__ == "__main__":
    main()
