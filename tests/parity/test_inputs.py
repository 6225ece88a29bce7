"""Inputs and heads that few models use, and keys mixed along the sequence: against plain arithmetic and torch's own
modules, and the torch package against the reference meaning."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from archspec.spec import load_spec, resolve
from compiler import ops
from compiler.lower.program import lower
from compiler.ops.context import Context
from compiler.verify.interpreter import interpret
from compiler.weights.init import init_weights
from tests.emit_torch.packages import spec
from tests.parity.emitted import emitted_gap
from tests.parity.models import ids
from tests.zoo.shrink import shrunk

torch.set_num_threads(1)
MAP = {"type": "length_projection", "length": 16, "rank": 5}
CLUSTERS = {"cutoffs": [20, 50], "divide": 2}


def run(op: str, inputs: list[Tensor], params: dict[str, Tensor], **attrs: Any) -> Tensor:
    return ops.meaning(op).run(inputs, params, attrs, Context())[0]


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


FORMS: dict[str, dict[str, Any]] = {
    "keys mixed along the sequence": spec(attention={"key_map": MAP, "mask": "full", "position": []}),
    "one map for keys and values": spec(attention={"key_map": {**MAP, "shared": True}, "mask": "full", "position": []}),
    "axial positions": spec(
        stack={"input": {"sum": ["tokens", {"type": "axial", "shape": [8, 8], "widths": [6, 10]}]}}
    ),
    "clustered vocabulary": spec(
        stack={"input": {"sum": [{"type": "adaptive_tokens", "weights": "/vocab", **CLUSTERS}]}},
        head={"logits": {"type": "adaptive_softmax", "weights": "/vocab", "tie_projections": True, **CLUSTERS}},
    ),
    "clustered head of its own": spec(head={"logits": {"type": "adaptive_softmax", **CLUSTERS}}),
    "latents before text": spec(
        attention={"mask": "full"},
        stack={"input": [{"name": "queries", "sum": [{"type": "latents", "count": 3}]},
                         {"name": "text", "sum": ["tokens"]}]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_package_means_what_the_spec_means(form: str, tmp_path: Path) -> None:
    assert emitted_gap(FORMS[form], tmp_path / "p", ids(2, 13)) < 2e-5


def test_rows_of_a_segment() -> None:
    """A branch on the queries leaves the text as it is, one on the text the queries."""
    inputs = [{"name": "queries", "sum": [{"type": "latents", "count": 3}]}, {"name": "text", "sum": ["tokens"]}]
    for name, kept in (("queries", slice(3, None)), ("text", slice(0, 3))):
        mlp = {"op": {"type": "mlp", "d_ff": 24, "activation": "gelu"}, "rows": {"type": "segment_named", "name": name}}
        document = spec(blocks={"main": [mlp]}, layers=["main"], stack={"input": inputs, "final_norm": None})
        del document["head"]
        program = lower(resolve(load_spec(document)))
        shapes = {path: param.shape for path, param in program.parameter_paths().items()}
        params = {path: tensor.double() for path, tensor in init_weights(shapes, 1).items()}
        tokens = ids(2, 5)
        out = next(iter(interpret(program, params, {"input_ids": tokens}).values()))
        rows = torch.cat([
            params["decoder.queries.latents.weight"].expand(2, -1, -1),
            params["decoder.text.tokens.weight"][tokens],
        ], 1)  # fmt: skip
        changed = (out - rows).abs().amax(-1) > 1e-6
        assert not changed[:, kept].any()
        assert changed.sum() == 2 * (8 - changed[0, kept].numel())


def test_attention_along_an_axis_is_attention_of_each_line() -> None:
    document = spec(
        blocks={"main": [{"parallel": [
            {"op": {"type": "attention", "n_heads": 2, "axis": axis}, "residual": residual}
            for axis, residual in ((0, "replace"), (1, "add"))
        ]}]},
        layers=["main"], stack={"input": {"sum": [{"type": "features", "width": 16}]}, "final_norm": None},
    )  # fmt: skip
    del document["head"]
    program = lower(resolve(load_spec(document)))
    params = {path: drawn(*param.shape) / 4 for path, param in program.parameter_paths().items()}
    grid = drawn(2, 3, 5, 16)
    found = next(iter(interpret(program, params, {"features": grid}).values()))

    def lines(x: Tensor, name: str) -> Tensor:
        q, k, v = (x @ params[f"decoder.0.{name}.{role}.weight"].T for role in "qkv")
        q, k, v = (y.unflatten(-1, (2, 8)).transpose(-3, -2) for y in (q, k, v))
        y = nn.functional.scaled_dot_product_attention(q, k, v).transpose(-3, -2).flatten(-2)
        return y @ params[f"decoder.0.{name}.o.weight"].T

    columns = lines(grid.transpose(1, 2), "attention").transpose(1, 2)
    torch.testing.assert_close(found, columns + lines(grid, "attention_2"), atol=1e-12, rtol=1e-12)


def test_key_map_is_linformers() -> None:
    """einsum("bnd,nk->bkd") of linformer's own code, its matrix turned."""
    x, weight = drawn(2, 7, 6), drawn(5, 9)
    expected = torch.einsum("bnd,nk->bkd", x, weight.T[:7])
    torch.testing.assert_close(run("length_projection", [x], {"weight": weight}, rank=5, length=9), expected)
    with pytest.raises(ValueError, match="takes 9"):
        run("length_projection", [drawn(1, 10, 6)], {"weight": weight}, rank=5, length=9)


def test_patches_are_a_convolution_with_steps_of_its_size() -> None:
    image, weight, bias, first = drawn(2, 3, 8, 8), drawn(10, 3, 4, 4), drawn(10), drawn(10)
    params = {"weight": weight, "bias": bias, "class_token": first}
    found = run("patches", [image], params, patch=4, width=10, class_token=True, bias=True)
    expected = nn.functional.conv2d(image, weight, bias, stride=4).flatten(2).transpose(1, 2)
    torch.testing.assert_close(found[:, 1:], expected)
    torch.testing.assert_close(found[:, 0], first.expand(2, -1))


def test_axial_positions_are_rows_of_each_table() -> None:
    params = {"axis_0": drawn(3, 4), "axis_1": drawn(5, 6)}
    found = run("axial_positions", [torch.arange(15)[None]], params, shape=[3, 5], widths=[4, 6])
    grid = [params["axis_0"][:, None].expand(-1, 5, -1), params["axis_1"][None].expand(3, -1, -1)]
    torch.testing.assert_close(found[0], torch.cat(grid, -1).flatten(0, 1), atol=0, rtol=0)


def test_clusters_are_torchs_adaptive_softmax() -> None:
    head = nn.AdaptiveLogSoftmaxWithLoss(16, 97, [20, 50], div_value=2.0, head_bias=True).double()
    params = {"projection_0": torch.eye(16, dtype=torch.float64)}
    weight, bias = head.head.weight.detach(), head.head.bias.detach()
    params |= {"table_0": weight[:20], "clusters": weight[20:], "bias_0": bias[:20], "cluster_bias": bias[20:]}
    for c, (down, up) in enumerate(head.tail, 1):
        params |= {f"projection_{c}": down.weight.T, f"table_{c}": up.weight, f"bias_{c}": torch.zeros(len(up.weight))}
    x = drawn(3, 16)
    found = run("adaptive_softmax", [x[None]], params, rows=97, cutoffs=[20, 50], divide=2)
    torch.testing.assert_close(found[0], head.log_prob(x), atol=1e-12, rtol=1e-12)


def test_resampler_attends_to_media_and_itself() -> None:
    """Flamingo's resampler: keys of the latents and of the normed media in one softmax, the same projections."""
    sizes = {"d_model": 16, "n_heads": 2, "d_head": 8, "d_ff": 24, "count": 3, "width": 16}
    program = lower(shrunk("flamingo-module", {"resampler": ["main"]}, sizes))
    core = next(n for n in program.blocks["resampler"].nodes if n.op == "attention")
    assert core.attrs["extra"] == ["stack"]
    params = {path: drawn(*param.shape) / 4 for path, param in program.parameter_paths().items()}
    media, text = drawn(1, 5, 16), drawn(1, 4, 16)
    labels = {"media_locations": torch.tensor([[0, 1, 1, 1]]), "media_index": torch.tensor([[1, 1, 1]])}
    out = next(iter(interpret(program, params, {"media": media, "text": text, **labels}).values()))
    assert bool(torch.isfinite(out).all())

    def norm(x: Tensor, path: str) -> Tensor:
        return nn.functional.layer_norm(x, (16,), params[f"{path}.weight"], params[f"{path}.bias"])

    def heads(x: Tensor) -> Tensor:
        return x.unflatten(-1, (2, 8)).transpose(1, 2)

    home, x = "resampler.0.attention", params["resampler.latents.latents.weight"][None]
    own = norm(x, f"{home}.pre_norm")
    keys = torch.cat([norm(media, f"{home}.media_norm"), own], 1)
    q, k, v = (heads(y @ params[f"{home}.{r}.weight"].T) for y, r in ((own, "q"), (keys, "k"), (keys, "v")))
    y = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    x = x + y @ params[f"{home}.o.weight"].T
    home = "resampler.0.mlp"
    y = (
        nn.functional.gelu(norm(x, f"{home}.pre_norm") @ params[f"{home}.up.weight"].T)
        @ params[f"{home}.down.weight"].T
    )
    latents = norm(x + y, "resampler.final_norm")
    q = heads(norm(text, "text.0.attention.pre_norm") @ params["text.0.attention.q.weight"].T)
    k, v = (heads(latents @ params[f"text.0.attention.{r}.weight"].T) for r in "kv")
    y = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
    y[:, 0] = 0  # before any image
    x = text + torch.tanh(params["text.0.attention.branch_gate.weight"]) * (y @ params["text.0.attention.o.weight"].T)
    home = "text.0.mlp"
    y = (
        nn.functional.gelu(norm(x, f"{home}.pre_norm") @ params[f"{home}.up.weight"].T)
        @ params[f"{home}.down.weight"].T
    )
    torch.testing.assert_close(out, x + torch.tanh(params[f"{home}.branch_gate.weight"]) * y, atol=1e-9, rtol=1e-9)
