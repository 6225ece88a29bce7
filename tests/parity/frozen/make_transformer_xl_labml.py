"""Fixture of labml-nn 0.5.1: Transformer-XL with norms before each branch and a learned vector for each distance.

    pip install torch==2.13.0 safetensors numpy einops
    pip install --no-deps labml-nn==0.5.1 labml==0.5.3 labml-helpers==0.4.89
    python -m tests.parity.frozen.make_transformer_xl_labml

Three segments of 9 tokens and a memory of 12, embedding and generator as in its experiment. The tables hold 32
distances each way instead of 4,096. The logger's hook that attention calls is gone in later releases of labml: it does
nothing.
"""

import labml.tracker
import torch
from torch import nn

from tests.parity.frozen.drawing import ids, redraw, save

labml.tracker.debug = lambda *_, **__: None

from labml_nn.transformers.feed_forward import FeedForward  # noqa: E402
from labml_nn.transformers.xl import TransformerXL, TransformerXLLayer  # noqa: E402
from labml_nn.transformers.xl.relative_mha import RelativeMultiHeadAttention  # noqa: E402

SEGMENT, MEMORY, VOCABULARY, HEADS, WIDTH, FAR = 9, 12, 61, 4, 32, 32


class Model(nn.Module):
    """`AutoregressiveModel` of labml_nn.transformers.xl.experiment, whose imports ask for more packages."""

    def __init__(self) -> None:
        super().__init__()
        attention = RelativeMultiHeadAttention(HEADS, WIDTH, 0.0)
        attention.P = FAR
        attention.key_pos_embeddings = nn.Parameter(torch.zeros(2 * FAR, HEADS, WIDTH // HEADS))
        attention.key_pos_bias = nn.Parameter(torch.zeros(2 * FAR, HEADS))
        layer = TransformerXLLayer(
            d_model=WIDTH, self_attn=attention, feed_forward=FeedForward(WIDTH, 48, 0.0), dropout_prob=0.0
        )
        self.src_embed = nn.Embedding(VOCABULARY, WIDTH)
        self.transformer = TransformerXL(layer, 2)
        self.generator = nn.Linear(WIDTH, VOCABULARY)

    def forward(self, x: torch.Tensor, memory: list[torch.Tensor]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        n, before = len(x), len(memory[0]) if memory else 0
        visible = torch.cat([torch.ones(n, before), torch.ones(n, n).tril()], 1).bool()[..., None]
        y, new = self.transformer(self.src_embed(x), memory, visible)
        kept = [torch.cat(pair)[-MEMORY:] for pair in zip(memory, new, strict=True)] if memory else new
        return self.generator(y), kept


@torch.no_grad()
def main() -> None:
    model, tokens = redraw(Model()), ids(VOCABULARY, 2, 3 * SEGMENT)
    memory: list[torch.Tensor] = []
    outputs = []
    for part in tokens.T.split(SEGMENT):
        y, memory = model(part, memory)
        outputs.append(y.transpose(0, 1))
    save("transformer_xl_labml", model, {"input_ids": tokens}, {"logits": torch.cat(outputs, 1)})


if __name__ == "__main__":
    main()
