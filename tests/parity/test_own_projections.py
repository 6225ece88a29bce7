"""Rows with projections of their own beside other keys, another source and an output of their own: formulas in plain
torch, row by row, against the reference meaning and both packages.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from archspec.spec import load_spec, resolve
from compiler.lower.program import lower
from compiler.verify.interpreter import interpret
from compiler.weights.init import init_weights
from tests.composition import emitted, exported
from tests.composition.check import Drawn, inputs

torch.set_num_threads(1)
HEADS, WIDTH, LENGTH = 4, 4, 7
NUMBERS = (1, 2)
ROWS = {"type": "at", "positions": list(NUMBERS)}
ALL = ["q", "k", "v", "o"]
FORMS: dict[str, dict[str, Any]] = {
    "learned keys and a sink": {"mask": "causal", "extra_keys": [{"type": "learned", "count": 2}, "sink"]},
    "empty rows": {
        "mask": {"type": "and", "of": ["causal", {"type": "not", "of": "self"}]},
        "empty_rows": "all",
    },
    "a key map": {"mask": "full", "key_map": {"type": "length_projection", "length": 16, "rank": 3}},
    "another stack": {"mask": "full", "source": "encoder"},
    "norm, gate and bias": {
        "mask": "causal", "bias": ALL, "inner_norm": {"norm": "rms", "scope": "head"},
        "gate": {"type": "projected", "of": "head"},
    },
}  # fmt: skip


def document(fields: dict[str, Any], of: list[str], rows: Any = ROWS) -> dict[str, Any]:
    op = {"type": "attention", "n_heads": HEADS, "own_projections": {"rows": rows, "of": of}} | fields
    stack = {"d_model": 16, "input": {"sum": ["tokens"]}, "blocks": {"main": [{"op": op}]}, "layers": ["main"]}
    encoder = {"d_model": 16, "input": {"sum": [{"type": "tokens", "name": "source_ids"}]}}
    stacks = ({"encoder": encoder} if fields.get("source") else {}) | {"decoder": stack}
    return {"archspec": 1, "name": "own", "vocab_size": 97, "max_length": 16, "stacks": stacks, "output": "decoder"}


def drawn(spec: dict[str, Any]) -> Drawn:
    program = lower(resolve(load_spec(spec)))
    params = init_weights({path: p.shape for path, p in program.parameter_paths().items()}, 0, torch.float64)
    given = inputs(program)
    for name, type_ in program.main.inputs.items():
        if program.optional.get(name) == "ones":  # no padding here
            given[name] = torch.ones_like(given[name])
        if name == "marked":
            assert type_.shape == ("B", "T")
            given[name] = torch.zeros(2, LENGTH, dtype=torch.long)
            given[name][:, list(NUMBERS)] = 1
    return Drawn(program, params, given)


def formula(spec: dict[str, Any], p: dict[str, Tensor], given: dict[str, Tensor]) -> Tensor:
    """Row by row: the projections of each row's kind, one softmax over all keys that it sees."""
    op, home = spec["stacks"]["decoder"]["blocks"]["main"][0]["op"], "decoder.0.attention"
    x = p["decoder.text.tokens.weight"][given["input_ids"]]
    source = p["encoder.text.tokens.weight"][given["source_ids"]] if "source" in op else x
    out = torch.zeros_like(x)
    for batch in range(len(x)):
        for row in range(LENGTH):
            mine = [role for role in op["own_projections"]["of"] if row in NUMBERS]

            def project(role: str, y: Tensor, mine: list[str] = mine) -> Tensor:
                path = f"{home}.own.{role}" if role in mine else f"{home}.{role}"
                y = y @ p[f"{path}.weight"].T
                return y + p[f"{path}.bias"] if role in op.get("bias", []) else y

            q = project("q", x[batch, row]).view(HEADS, WIDTH)
            keys, values = project("k", source[batch]), project("v", source[batch])
            seen = torch.ones(len(keys), dtype=torch.bool)
            if op["mask"] != "full":
                seen = torch.arange(LENGTH) < (row + 1 if op["mask"] == "causal" else row)
            if op.get("empty_rows") and not seen.any():
                seen = ~seen
            if "key_map" in op:
                keys = p[f"{home}.key_map.k.weight"][:, :LENGTH] @ keys
                values = p[f"{home}.key_map.v.weight"][:, :LENGTH] @ values
                seen = seen[: len(keys)]
            if "extra_keys" in op:
                keys = torch.cat([keys, p[f"{home}.learned.k.weight"]])
                values = torch.cat([values, p[f"{home}.learned.v.weight"]])
                seen = torch.cat([seen, torch.ones(2, dtype=torch.bool)])
            scores = torch.einsum("hd,thd->ht", q, keys.view(-1, HEADS, WIDTH)) / WIDTH**0.5
            scores = scores.masked_fill(~seen, float("-inf"))
            if "extra_keys" in op:
                scores = torch.cat([scores, p[f"{home}.sink.weight"][:, None]], 1)
                values = torch.cat([values, torch.zeros(1, HEADS * WIDTH, dtype=values.dtype)])
            y = torch.einsum("ht,thd->hd", torch.softmax(scores, -1), values.view(-1, HEADS, WIDTH))
            if "inner_norm" in op:
                y = y / (y.square().mean(-1, keepdim=True) + 1e-5).sqrt() * p[f"{home}.inner_norm.weight"]
            if "gate" in op:
                y = y * torch.sigmoid(p[f"{home}.gate.weight"] @ x[batch, row])[:, None]
            out[batch, row] = x[batch, row] + project("o", y.flatten())
    return out


@pytest.mark.parametrize("of", [["q", "k", "v"], ALL, ["q"], ["o"]], ids="".join)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rows", [ROWS, {"type": "rows_input", "name": "marked"}], ids=["placed", "marked"])
def test_rows_look_through_projections_of_their_own(form: str, of: list[str], rows: Any, tmp_path: Path) -> None:
    spec = document(FORMS[form], of, rows)
    case = drawn(spec)
    (meant,) = interpret(case.program, case.params, case.inputs).values()
    assert (meant - formula(spec, dict(case.params), dict(case.inputs))).abs().max() < 1e-12
    assert emitted.wrong(case, tmp_path / "torch") is None
    assert exported.wrong(case, tmp_path / "onnx") is None
