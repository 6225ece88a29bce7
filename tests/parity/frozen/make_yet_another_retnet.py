"""Fixture of yet-another-retnet 0.5.1: logits of its parallel, chunkwise and recurrent forms.

pip install torch==2.13.0 safetensors numpy einops
pip install --no-deps yet-another-retnet==0.5.1
python -m tests.parity.frozen.make_yet_another_retnet
"""

import torch
from yet_another_retnet.retnet import RetNet

from tests.parity.frozen.drawing import ids, redraw, save

VOCABULARY, CHUNK = 61, 6


@torch.no_grad()
def main() -> None:
    tokens = ids(VOCABULARY, 2, 18)
    model = redraw(RetNet(VOCABULARY, d_model=32, nhead=4, num_layers=2, dim_feedforward=48, dropout=0.0))
    outputs = {"parallel": model.forward_parallel(tokens)}
    states, parts = (), []
    for t in range(tokens.shape[1]):
        logits, states = model.forward_recurrent(tokens[:, t], t, states)
        parts.append(logits)
    outputs["recurrent"] = torch.stack(parts, 1)
    states, parts = (), []
    for t in range(0, tokens.shape[1], CHUNK):
        logits, states = model.forward_chunkwise(tokens[:, t : t + CHUNK], t, states)
        parts.append(logits)
    outputs["chunkwise"] = torch.cat(parts, 1)
    save("yet_another_retnet", model, {"tokens": tokens}, outputs)


if __name__ == "__main__":
    main()
