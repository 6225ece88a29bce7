"""Under torch.compile: decoding compiles a fixed number of times, whatever the number of steps and layers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from compiler.ops.linear.torch_helpers import linear
from tests.emit_torch.packages import ids, model_of, packaged, spec

WINDOW = {"type": "and", "of": ["causal", {"type": "window", "behind": 5}]}


@pytest.fixture(autouse=True)
def fresh() -> None:
    torch.compiler.reset()


@pytest.mark.parametrize("attention", [{}, {"mask": WINDOW}], ids=["causal", "window"])
def test_a_compiled_step_is_compiled_once_for_all_tokens(attention: dict[str, Any], tmp_path: Path) -> None:
    model = model_of(spec(attention=attention), tmp_path / "p")
    counter = CompileCounter()
    step = torch.compile(model.step, backend=counter, fullgraph=False)
    tokens = ids(1, 30)
    expected = model(tokens)
    state = model.new_state(1, 30)
    counts = []
    for i in range(30):
        logits, state = step(tokens[:, i : i + 1], state)
        torch.testing.assert_close(logits, expected[:, i : i + 1], atol=1e-4, rtol=1e-4)
        counts.append(counter.frame_count)
    assert counts[2] == counts[-1], counts
    assert counts[-1] <= 2


def test_a_compiled_prefill_then_steps(tmp_path: Path) -> None:
    model = model_of(spec(), tmp_path / "p")
    counter = CompileCounter()
    step = torch.compile(model.step, backend=counter)
    tokens = ids(2, 30)
    mask = torch.ones_like(tokens)
    mask[0, :4] = 0
    expected = model(tokens, mask)
    logits, state = step(tokens[:, :12], model.new_state(2, 30), mask[:, :12])
    real = mask[:, :12].bool()
    torch.testing.assert_close(logits[real], expected[:, :12][real], atol=1e-4, rtol=1e-4)
    for i in range(12, 30):
        logits, state = step(tokens[:, i : i + 1], state)
        torch.testing.assert_close(logits, expected[:, i : i + 1], atol=1e-4, rtol=1e-4)
    assert counter.frame_count <= 3


@pytest.mark.slow
def test_layers_compiled_once_each(tmp_path: Path) -> None:
    """load(compile=True): one kind of layer is built for prefill and for decode, not once a layer or a token; so is
    what follows the layers."""
    module = packaged(spec(layers=[{"repeat": 6, "of": ["main"]}]), tmp_path / "p", init=1, dtype="fp32")
    plain, model = module.load(), module.load(compile=True)
    tokens = ids(1, 40)
    expected = plain(tokens)
    torch._dynamo.utils.counters.clear()
    logits, state = model.step(tokens[:, :10], model.new_state(1, 40))
    torch.testing.assert_close(logits, expected[:, :10], atol=1e-4, rtol=1e-4)
    for i in range(10, 40):
        logits, state = model.step(tokens[:, i : i + 1], state)
        torch.testing.assert_close(logits, expected[:, i : i + 1], atol=1e-4, rtol=1e-4)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 4


@pytest.mark.parametrize("rows", [1, 2], ids=["one row", "two rows"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("biased", [False, True], ids=["plain", "bias"])
def test_a_compiled_product_is_the_product(biased: bool, dtype: torch.dtype, rows: int) -> None:
    """One row takes a way of its own, which rounds no more than the library's."""
    draw = torch.Generator().manual_seed(0)
    x, weight, bias = (torch.randn(shape, generator=draw) for shape in ((1, rows, 96), (40, 96), (40,)))
    given = [x.to(dtype), weight.to(dtype), bias.to(dtype) if biased else None]
    exact = torch.nn.functional.linear(*(t if t is None else t.double() for t in given))
    found = torch.compile(linear)(*given)
    assert found.dtype == dtype and found.shape == (1, rows, 40)
    ulp = 2 * torch.finfo(dtype).eps * exact.abs().amax()
    torch.testing.assert_close(found.double(), exact, atol=float(ulp), rtol=0)
