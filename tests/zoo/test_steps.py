"""One answer to whether a spec steps: what `show` and the search are told is what its PyTorch package says."""

import ast

import pytest

from archspec import zoo
from compiler import pipeline
from compiler.cost.report import cost
from compiler.emit.torch import write_model
from compiler.ir.parts import why_no_step
from compiler.lower.program import lower
from tests.zoo.files import resolved, table

LOWERED = [name for name in zoo.names() if name not in table("not_lowered.txt")]
STEPPING = {"Stepping", "Translating"}  # base classes of emitted models


def said(text: str) -> str | None:
    """What the class `Model` of a package says: why it does not step, or None."""
    (model,) = (n for n in ast.parse(text).body if isinstance(n, ast.ClassDef) and n.name == "Model")
    found = [ast.literal_eval(n.value) for n in model.body if isinstance(n, ast.Assign) and names(n) == ["refusal"]]
    (base,) = (b.id for b in model.bases if isinstance(b, ast.Name))
    assert (base in STEPPING) == (not found)
    return found[0] if found else None


def rest(reason: str | None) -> str | None:
    """A reason without its operator."""
    return reason and reason.rpartition(": ")[2]


def names(node: ast.Assign) -> list[str]:
    return [target.id for target in node.targets if isinstance(target, ast.Name)]


@pytest.mark.parametrize("name", LOWERED)
def test_package_and_cost_agree(name: str) -> None:
    plain = lower(resolved(name))
    program, _ = pipeline.run(plain)
    reason = said(write_model(program))
    assert reason == why_no_step(program)
    assert rest(reason) == rest(why_no_step(plain))  # what the search asks before it rewrites; operators are renamed
    report = cost(resolved(name), context=128)
    assert report.no_step == reason
    assert (report.speed.decode_tokens_per_second is None) == (report.flops.decode is None) == (reason is not None)


def test_reasons_name_operators() -> None:
    """A source of fixed length (an image) sees itself whole and runs once: no reason against steps."""
    reasons = {name: cost(resolved(name), context=128).no_step for name in ("idefics-9b", "flamingo-module")}
    assert reasons == {"idefics-9b": None, "flamingo-module": None}
    for name, start in (("bert-base", "grouped_query_attention: "), ("reformer-enwik8", "lsh_attention: "),
                        ("blip2-qformer", "nothing is read token by token")):  # fmt: skip
        assert (cost(resolved(name), context=128).no_step or "").startswith(start)
