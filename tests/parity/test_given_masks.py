"""Masks given at run time, and biases by masks between stacks: the torch package against the reference meaning."""

from pathlib import Path
from typing import Any

import pytest
import torch

from archspec.spec import load_spec, resolve
from compiler.lower.program import lower
from compiler.masks.facts import by_inputs, label_names
from compiler.verify.interpreter import interpret
from compiler.weights.init import init_weights
from tests.composition import emitted, exported
from tests.composition.check import Drawn, inputs
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


@pytest.mark.parametrize(
    ("mask", "steps"),
    [({"type": "keys", "of": {"type": "first", "count": 2}}, True), ({"type": "strided", "stride": 2}, False)],
    ids=["by keys", "by places"],
)
@torch.no_grad()
def test_a_bias_between_stacks(mask: Any, steps: bool, tmp_path: Path) -> None:
    """softmax(q·k/√d + 0.7 where the mask is true)·v, the last query beside the last key."""
    op = {"type": "attention", "n_heads": 4, "source": "encoder",
          "position": [{"type": "bias_where", "mask": mask, "add": 0.7}]}  # fmt: skip
    document = spec(blocks={"main": [{"op": op}]}, layers=["main"], stack={"final_norm": None}, head={"logits": None})
    document["stacks"]["encoder"] = {"d_model": 16, "input": {"sum": [{"type": "tokens", "name": "source_ids"}]}}
    document |= {"output": "decoder"}
    program = lower(resolve(load_spec(document)))
    p = init_weights({path: param.shape for path, param in program.parameter_paths().items()}, 1, torch.float64)
    given = {n: torch.ones_like(x) if program.optional.get(n) == "ones" else x for n, x in inputs(program).items()}
    x, source = (
        p[f"{s}.text.tokens.weight"][given[n]] for s, n in (("decoder", "input_ids"), ("encoder", "source_ids"))
    )
    home, heads = "decoder.0.attention", []
    for role, rows in (("q", x), ("k", source), ("v", source)):
        heads.append((rows @ p[f"{home}.{role}.weight"].T).unflatten(-1, (4, 4)).transpose(1, 2))
    new, total = x.shape[1], source.shape[1]
    i, j = torch.arange(total - new, total)[:, None], torch.arange(total)
    where = (j < 2).expand(new, total) if steps else (i - j) % 2 == 0
    scores = heads[0] @ heads[1].mT / 2 + 0.7 * where.double()
    y = (torch.softmax(scores, -1) @ heads[2]).transpose(1, 2).flatten(2)
    (meant,) = interpret(program, p, given).values()
    torch.testing.assert_close(meant, x + y @ p[f"{home}.o.weight"].T, atol=1e-12, rtol=0)
    case = Drawn(program, p, given)
    assert emitted.wrong(case, tmp_path / "torch") is None
    assert exported.wrong(case, tmp_path / "onnx") is None
    assert steps is not bool(getattr(model_of(document, tmp_path / "p"), "refusal", ""))
