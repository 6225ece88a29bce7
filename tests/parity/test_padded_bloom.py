"""BLOOM's padded rows, which its positions come from: transformers' BloomForCausalLM with six heads (two series of
slopes) beside the compiled package, whole and in steps."""

from pathlib import Path

import torch

from tests.emit_torch.packages import ids, model_of, stepped
from tests.interop.tiny import CASES


@torch.no_grad()
def test_bloom_with_padding(tmp_path: Path) -> None:
    theirs = CASES["bloom"].save(tmp_path / "hf")
    ours = model_of(tmp_path / "hf", tmp_path / "package")
    tokens = ids(3, 17)
    mask = torch.ones(3, 17, dtype=torch.long)
    mask[0, :6] = 0
    mask[1, 12:] = 0
    want = theirs(input_ids=tokens, attention_mask=mask).logits
    real = mask.bool()
    for got in (ours(tokens, attention_mask=mask), stepped(ours, tokens, (4, 5, 1, 7), mask)):
        torch.testing.assert_close(got[real], want[real], atol=1e-4, rtol=1e-4)
