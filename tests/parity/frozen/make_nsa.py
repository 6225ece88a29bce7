"""Fixtures of native-sparse-attention-pytorch 0.2.3, without Triton: its attention, alone and in its decoder.

    pip install torch==2.13.0 safetensors numpy local-attention==1.11.2 rotary-embedding-torch==0.9.1 einx==0.4.3
    pip install native-sparse-attention-pytorch==0.2.3
    python -m tests.parity.frozen.make_nsa

`flops`: the matrix products of one forward over the longest input, by torch's counter.
"""

import torch
from native_sparse_attention_pytorch import SparseAttention
from native_sparse_attention_pytorch.transformer import Transformer
from torch.utils.flop_counter import FlopCounterMode

from tests.parity.frozen.drawing import drawn, ids, redraw, save

LENGTHS = (32, 21, 3)  # whole blocks; strides and blocks left over; less than a block
MODELS = {
    # Blocks overlap; query heads of one key head choose together. As in the zoo.
    "nsa": {"dim": 32, "dim_head": 8, "heads": 4, "kv_heads": 2, "sliding_window_size": 4, "compress_block_size": 4,
            "compress_block_sliding_stride": 2, "selection_block_size": 4, "num_selected_blocks": 2},
    # No overlap, two compressed keys to a block, every query head chooses for itself.
    "nsa_by_head": {"dim": 24, "dim_head": 6, "heads": 4, "kv_heads": 2, "sliding_window_size": 3,
                    "compress_block_size": 4, "compress_block_sliding_stride": 4, "selection_block_size": 8,
                    "num_selected_blocks": 1, "num_compressed_mem_kv": 2, "query_heads_share_selected_kv": False},
    # A compressed key for every block that is selected.
    "nsa_equal": {"dim": 24, "dim_head": 6, "heads": 4, "kv_heads": 4, "sliding_window_size": 2,
                  "compress_block_size": 6, "compress_block_sliding_stride": 3, "selection_block_size": 3,
                  "num_selected_blocks": 3},
}  # fmt: skip


@torch.no_grad()
def main() -> None:
    for name, fields in MODELS.items():
        model = SparseAttention(causal=True, **fields)
        frequencies = model.rotary_emb.freqs.clone()  # a parameter that is never trained: 10000 ** (-2i / d)
        redraw(model)
        model.rotary_emb.freqs.copy_(frequencies)
        x = drawn(name, 2, max(LENGTHS), fields["dim"])
        outputs = {str(length): model(x[:, :length]) for length in LENGTHS}
        with FlopCounterMode(display=False) as counter:
            model(x)
        outputs["flops"] = torch.tensor(counter.get_total_flops())
        save(name, model, {"x": x}, outputs, drop="freqs")
    vocabulary, layers = 37, 2
    sizes = {name: MODELS["nsa"][name] for name in ("dim", "dim_head", "heads", "kv_heads")}
    decoder = Transformer(
        vocabulary, depth=layers, ff_expansion_factor=2.0, use_sparse_attn=True, **sizes,
        sparse_attn_kwargs={name: value for name, value in MODELS["nsa"].items() if name not in sizes},
    )  # fmt: skip
    frequencies = decoder.layers[0][0].rotary_emb.freqs.clone()
    redraw(decoder)
    for attention, _ in decoder.layers:
        attention.rotary_emb.freqs.copy_(frequencies)
    tokens = ids(vocabulary, 2, 45)
    save("nsa_decoder", decoder, {"tokens": tokens}, {"logits": decoder(tokens, disable_flex=True)}, drop="freqs")


if __name__ == "__main__":
    main()
