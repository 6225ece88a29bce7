"""Masks given at run time: the torch package against the reference meaning."""

from pathlib import Path
from typing import Any

import pytest
import torch

from compiler.masks.facts import by_inputs, label_names
from tests.emit_torch.packages import model_of, spec
from tests.parity.emitted import meant
from tests.parity.models import ids

torch.set_num_threads(1)
ROWS = {"type": "rows_input", "name": "marked"}
MARKED: Any = {
    "mask": {"type": "or", "of": [{"type": "window", "behind": 3, "ahead": 2}, {"type": "keys", "of": ROWS},
                                  {"type": "queries", "of": ROWS}]},
    "position": [],
}  # fmt: skip


@pytest.mark.parametrize("own", [None, {"rows": ROWS}, {"rows": ROWS, "of": ["q"]}])
@torch.no_grad()
def test_marked_rows(own: Any, tmp_path: Path) -> None:
    document = spec(attention=MARKED | ({"own_projections": own} if own else {}))
    tokens, marked = ids(2, 13), torch.zeros(2, 13, dtype=torch.long)
    marked[0, 0] = marked[1, 6] = marked[1, 7] = 1
    mask = torch.ones(2, 13, dtype=torch.long)
    mask[1, -2:] = 0
    expected = meant(document, 1, input_ids=tokens, marked=marked, attention_mask=mask)
    gap = (model_of(document, tmp_path / "p")(tokens, mask, marked=marked) - expected).abs()
    assert float(gap[mask.bool()].max()) < 2e-5


PAIRS = {"type": "input", "name": "sees"}
LABELS = {"type": "label", "queries": "own_label", "keys": "media_label"}


@pytest.mark.parametrize("mask", [PAIRS, {"type": "not", "of": PAIRS}], ids=["pairs", "hidden pairs"])
@pytest.mark.parametrize("empty", ["zeros", "all"])
@torch.no_grad()
def test_looking_at_another_stack_through_a_mask(mask: Any, empty: str, tmp_path: Path) -> None:
    look = {"pre_norm": "rms", "op": {"type": "attention", "n_heads": 4, "source": "vision", "mask": mask,
                                      "empty_rows": empty}}  # fmt: skip
    rest = {"pre_norm": "rms", "op": {"type": "mlp", "d_ff": 24, "activation": "gelu"},
            "rows": {"type": "sees", "source": "vision"}}  # fmt: skip
    own = {"pre_norm": "rms", "op": {"type": "attention", "n_heads": 4, "mask": "causal"}}
    document = spec(blocks={"main": [own, look, rest]})
    image = {"name": "image", "sum": [{"type": "features", "name": "image", "width": 12}]}
    document["stacks"]["vision"] = {"d_model": 12, "input": image, "final_norm": "rms"}
    tokens, states = ids(2, 9), torch.randn(2, 5, 12, generator=torch.Generator().manual_seed(0))
    sees = torch.rand(2, 9, 5, generator=torch.Generator().manual_seed(1)) > 0.5
    sees[0, 2] = mask["type"] == "not"
    given = {"sees": sees.long()}
    expected = meant(document, 1, input_ids=tokens, image=states.double(), **given)
    found = model_of(document, tmp_path / "p")(image=states, input_ids=tokens, **given)
    torch.testing.assert_close(found.double(), expected, atol=2e-5, rtol=0)


def test_what_a_mask_reads() -> None:
    both = {"type": "and", "of": [{"type": "not", "of": PAIRS}, LABELS]}
    assert by_inputs(both)
    assert label_names(both) == [("own_label", "media_label")]
    assert not by_inputs({"type": "and", "of": [PAIRS, {"type": "causal"}]})
