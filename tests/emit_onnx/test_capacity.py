"""Places in experts on ONNX Runtime against the reference meaning, counted on from step to step where they can be."""

from pathlib import Path
from typing import Any

import pytest

from tests.emit_onnx.exact import check, emitted
from tests.emit_onnx.test_recurrent import lowered, weights
from tests.emit_torch.packages import ids
from tests.parity.test_capacity import FACTOR, FRACTION, TOKENS, mixture

CASES: dict[str, dict[str, Any]] = {
    "switch": {"top_k": 1, "capacity": TOKENS},
    "two choices": {"top_k": 2, "capacity": TOKENS, "weights": "sum_to_one"},
    "threshold": {"top_k": 2, "later_choices": {"type": "threshold", "above": 0.2}},
    "threshold takes no place": {
        "top_k": 3, "capacity": FACTOR, "weights": "sum_to_one", "later_choices": {"type": "threshold", "above": 0.3}
    },
    "what is left is shared": {
        "top_k": 2, "capacity": TOKENS, "weights": {"type": "sum_to_one", "of": "placed"}, "scale": 1.5
    },
    "factor": {"top_k": 2, "capacity": FACTOR},
    "factor of a batch": {"top_k": 2, "capacity": {**FACTOR, "over": "batch"}},
    "fraction": {"top_k": 1, "capacity": {"type": "fraction", "fraction": 0.3}},
    "fraction of a batch": {
        "top_k": 2, "capacity": FRACTION, "later_choices": {"type": "threshold", "above": 0.25}
    },
}  # fmt: skip
STEPS = {"switch", "threshold"}


@pytest.mark.parametrize("runtime", ["ort", "portable"])
@pytest.mark.parametrize("name", CASES)
def test_places(name: str, runtime: str, tmp_path: Path) -> None:
    program = lowered(mixture(CASES[name]))
    emission = check(program, weights(program), ids(2, 17), tmp_path, None, runtime)
    assert emission.stepping == (name in STEPS)
    assert "MoE" not in emission.operators  # it routes by itself and knows no places
    if runtime == "ort":
        assert any("what the router gives is changed before the experts" in note for note in emission.notes)


def test_places_are_counted_from_step_to_step(tmp_path: Path) -> None:
    """A step that forgot who came before would let more tokens in: the state is what makes steps equal the whole."""
    program = lowered(mixture(CASES["switch"]))
    package, _ = emitted(program, weights(program), tmp_path)
    tokens = ids(1, 17)
    states = {x.name: x.shape for x in package.session.get_inputs() if x.name.startswith("past_state")}
    assert states == {"past_state.0.taken": ["batch", 4], "past_state.1.taken": ["batch", 4]}
    alone = package.forward({"input_ids": tokens[:, 9:]})
    assert float((package.stepped({"input_ids": tokens}, (9,))[:, 9:] - alone).abs().max()) > 1e-2
