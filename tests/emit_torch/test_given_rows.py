"""Masks that read inputs, in steps: what a step is given of them, how they go on in generation, and misuse."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.emit_torch.packages import ids, model_of, spec

SELF = {"type": "self"}
MARKED = {"type": "keys", "of": {"type": "rows_input", "name": "open_rows"}}
PAIRS = {"type": "input", "name": "pairs"}
DOCUMENT = {"type": "label", "queries": "document", "keys": "document"}


def model(folder: Path, *atoms: dict[str, Any]) -> Any:
    """A decoder whose tokens see themselves and what these atoms show before them."""
    return model_of(
        spec(attention={"mask": {"type": "and", "of": ["causal", {"type": "or", "of": [SELF, *atoms]}]}}), folder
    )


def greedy(net: Any, prompt: Tensor, count: int, **given: Tensor) -> Tensor:
    """New tokens by whole passes: marked as the last one is, seeing what it saw and themselves as it did."""
    for _ in range(count):
        prompt = torch.cat([prompt, net(prompt, **given)[:, -1:].argmax(-1)], 1)
        for name, x in given.items():
            if x.dim() == 3:
                x = torch.cat([x, x[:, :, -1:]], 2)
                x[:, :, -1] = 0
                row = x[:, -1:].clone()
                row[:, :, -1] = row[:, :, -2]
            else:
                row = x[:, -1:]
            given[name] = torch.cat([x, row], 1)
    return prompt


def test_generation_goes_on_as_the_last_token_says(tmp_path: Path) -> None:
    prompt, draw = ids(2, 6), torch.Generator().manual_seed(0)
    net = model(tmp_path / "m", MARKED, DOCUMENT)
    given = {
        "open_rows": torch.randint(0, 2, (2, 6), generator=draw), "document": torch.tensor([[0, 0, 0, 1, 1, 1]] * 2),
    }  # fmt: skip
    made = net.generate(prompt, 5, end_ids=(), **given)
    assert torch.equal(made, greedy(net, prompt, 5, **given))
    assert not torch.equal(net(prompt, **given), net(prompt, **{**given, "document": torch.zeros(2, 6).long()}))
    net = model(tmp_path / "p", PAIRS)
    pairs = torch.randint(0, 2, (2, 6, 6), generator=draw)
    assert torch.equal(net.generate(prompt, 5, end_ids=(), pairs=pairs), greedy(net, prompt, 5, pairs=pairs))


def test_misuse(tmp_path: Path) -> None:
    net, prompt = model(tmp_path / "p", PAIRS, MARKED), ids(1, 4)
    rows, pairs = torch.ones(1, 4).long(), torch.ones(1, 4, 4).long()
    with pytest.raises(ValueError, match="open_rows is missing"):
        net(prompt, open_rows=None, pairs=pairs)
    with pytest.raises(ValueError, match=r"open_rows must have shape \(1, 4\), found \(1, 5\)"):
        net(prompt, open_rows=torch.ones(1, 5).long(), pairs=pairs)
    state = net.new_state(1, 8)
    net.step(prompt, state, open_rows=rows, pairs=pairs)
    with pytest.raises(
        ValueError, match=r"pairs must have shape \(1, 1, 5\), new tokens and all so far, found \(1, 1, 1\)"
    ):
        net.step(prompt[:, :1], state, open_rows=rows[:, :1], pairs=pairs[:, :1, :1])


def test_arguments_are_not_hidden_by_functions(tmp_path: Path) -> None:
    """An input may be named like a function of the file."""
    for name in ("sees", "attend", "marked"):
        atom = {"type": "keys", "of": {"type": "rows_input", "name": name}}
        net, prompt = model(tmp_path / name, atom), ids(1, 4)
        argument = next(n for n in net.inputs if n.startswith(name))
        assert net(prompt, **{argument: torch.ones(1, 4).long()}).isfinite().all()
