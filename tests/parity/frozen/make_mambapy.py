"""Fixture of mambapy 1.2.0's language model: logits of its parallel scan, and of its steps of one token.

pip install torch==2.13.0 safetensors numpy
pip install --no-deps mambapy==1.2.0
python -m tests.parity.frozen.make_mambapy
Its language model imports mamba_ssm for Mamba-2 only: an empty module stands in for it.
"""

import torch

from tests.parity.frozen.drawing import ids, redraw, save, stand_in

stand_in("mamba_ssm.ops.triton.ssd_combined", mamba_chunk_scan_combined=None, mamba_split_conv1d_scan_combined=None)

from mambapy.lm import LM  # noqa: E402
from mambapy.mamba import MambaConfig  # noqa: E402

VOCABULARY = 61


@torch.no_grad()
def main() -> None:
    tokens = ids(VOCABULARY, 2, 18)
    config = MambaConfig(d_model=32, n_layers=2, d_state=8, expand_factor=2, d_conv=4, dt_rank=4)
    model = redraw(LM(config, VOCABULARY))
    caches = [(None, torch.zeros(2, config.d_inner, config.d_conv - 1)) for _ in range(config.n_layers)]
    steps = []
    for t in range(tokens.shape[1]):
        logits, caches = model.step(tokens[:, t], caches)
        steps.append(logits)
    save("mambapy", model, {"tokens": tokens}, {"logits": model(tokens), "steps": torch.stack(steps, 1)})


if __name__ == "__main__":
    main()
