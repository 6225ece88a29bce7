"""Fixture of labml-nn 0.5.1: Transformer-XL with norms before each branch and a learned vector for each distance.

    pip install torch==2.13.0 safetensors numpy einops
    pip install --no-deps labml-nn==0.5.1 labml==0.5.3 labml-helpers==0.4.89
    python -m tests.parity.frozen.make_transformer_xl_labml

Two segments of 9 and 7 rows, the second with the first as its memory. The tables hold 32 distances each way instead of
4,096. The logger's hook that attention calls is gone in later releases of labml: it does nothing here.
"""

import labml.tracker
import torch
from torch import nn

from tests.parity.frozen.drawing import drawn, redraw, save

labml.tracker.debug = lambda *_, **__: None

from labml_nn.transformers.feed_forward import FeedForward  # noqa: E402
from labml_nn.transformers.xl import TransformerXL, TransformerXLLayer  # noqa: E402
from labml_nn.transformers.xl.relative_mha import RelativeMultiHeadAttention  # noqa: E402

HEADS, WIDTH, FAR = 4, 32, 32


def attention() -> RelativeMultiHeadAttention:
    made = RelativeMultiHeadAttention(HEADS, WIDTH, 0.0)
    made.P = FAR
    made.key_pos_embeddings = nn.Parameter(torch.zeros(2 * FAR, HEADS, WIDTH // HEADS))
    made.key_pos_bias = nn.Parameter(torch.zeros(2 * FAR, HEADS))
    return made


@torch.no_grad()
def main() -> None:
    layer = TransformerXLLayer(
        d_model=WIDTH, self_attn=attention(), feed_forward=FeedForward(WIDTH, 48, 0.0), dropout_prob=0.0
    )
    model = redraw(TransformerXL(layer, 2))
    rows = drawn("rows", 16, 2, WIDTH)
    first, second = rows[:9], rows[9:]
    own = torch.ones(7, 7).tril().bool()
    y1, memory = model(first, None, torch.ones(9, 9).tril().bool()[..., None])
    y2, _ = model(second, memory, torch.cat([torch.ones(7, 9).bool(), own], 1)[..., None])
    save("transformer_xl_labml", model, {"rows": rows.transpose(0, 1)}, {"y": torch.cat([y1, y2]).transpose(0, 1)})


if __name__ == "__main__":
    main()
