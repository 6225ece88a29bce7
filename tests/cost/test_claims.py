"""Figures that circulate about architectures: right ones are reproduced, wrong ones rejected, with the true value.

`claims.json`: inputs, the claimed and the true value of one number, the tolerance, source and verdict. With `over` the
number is a ratio to the same number of another job.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from archspec import zoo
from archspec.spec import load_spec, resolve
from compiler import ops
from compiler.cost.report import CostReport, cost
from compiler.cost.sites import environment
from compiler.lower.program import lower

CLAIMS = json.loads((Path(__file__).parent / "claims.json").read_text(encoding="utf-8"))


def report_of(inputs: dict[str, Any]) -> CostReport:
    options = {k: v for k, v in inputs.items() if k != "model"}
    return cost(resolve(load_spec(zoo.read(inputs["model"]), inputs["model"])), **options)


def number(metric: str, inputs: dict[str, Any]) -> float:
    report = report_of(inputs)
    match metric.split("."):
        case ["held"]:  # what a job holds whatever the kernels: weights and state
            return report.memory.weights + report.memory.cache
        case ["weights", kind]:
            return report.parameters.bytes_by_kind[kind]
        case ["scores"]:
            return scores(inputs)
    found: Any = report.to_json()
    for part in metric.split("."):
        found = found[part]
    return float(found)


def scores(inputs: dict[str, Any]) -> float:
    """Bytes of one head's score matrix in fp32, from the operator's declaration."""
    program = lower(resolve(load_spec(zoo.read(inputs["model"]))))
    block = next(iter(program.blocks.values()))
    node = next(n for n in block.nodes if n.op == "attention")
    types = [block.types[v] for v in node.inputs]
    env = environment(program, 1, inputs["context"], inputs["context"], 0)
    return 4 * ops.get("attention").scores(types, node.attrs, env) / int(types[0].shape[1])


@pytest.mark.parametrize("row", CLAIMS, ids=[row["id"] for row in CLAIMS])
def test_claim(row: dict[str, Any]) -> None:
    found = number(row["metric"], row["inputs"])
    if "over" in row:
        found /= number(row["metric"], row["over"])
    near = [pytest.approx(row[which], rel=row["tolerance"], abs=0) for which in ("claimed", "true")]
    assert found == near[1], "the table's true value is not ours"
    assert (found == near[0]) is (row["verdict"] == "right"), f"{row['claim']}: {found:.4g}"


def test_rows_are_complete() -> None:
    keys = {"id", "claim", "inputs", "metric", "claimed", "true", "tolerance", "verdict", "source"}
    for row in CLAIMS:
        assert keys <= set(row) and row["verdict"] in ("right", "wrong") and row["source"]
        assert {"model", "context", "dtype"} <= set(row["inputs"])
    assert len({row["id"] for row in CLAIMS}) == len(CLAIMS)
    assert {row["verdict"] for row in CLAIMS} == {"right", "wrong"}
