"""The fixture of BERT with relative distances on both sides, transformers 4.35.2 (later versions dropped them).

pip install torch==2.13.0 transformers==4.35.2 'numpy<2' safetensors
python -m tests.parity.frozen.make_bert_relative
"""

import torch
from transformers import BertConfig, BertForMaskedLM

from tests.parity.frozen.drawing import ids, redraw, save

VOCABULARY, LENGTH = 61, 14


@torch.no_grad()
def main() -> None:
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3,
        max_position_embeddings=16, position_embedding_type="relative_key_query",
    )  # fmt: skip
    model = redraw(BertForMaskedLM(config))
    mask, types = torch.ones(2, LENGTH, dtype=torch.long), torch.zeros(2, LENGTH, dtype=torch.long)
    mask[1, :4] = mask[1, -2:] = 0
    types[:, 6:] = 1
    inputs = {"input_ids": ids(VOCABULARY, 2, LENGTH), "attention_mask": mask, "token_type_ids": types}
    # Absolute positions are stored and never read.
    save("bert_relative", model, inputs, {"logits": model(**inputs).logits}, drop="position_embeddings")


if __name__ == "__main__":
    main()
