"""Funnel: queries pooled at block entry, the first token kept apart, rows widened again; whole against transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import FunnelConfig, FunnelForMaskedLM

from archspec.errors import InputError
from archspec.spec import load_spec, resolve
from compiler import ops
from compiler.cost.report import cost
from compiler.ir.program import Program
from compiler.lower.program import lower
from compiler.ops.context import Context
from tests.emit_torch.exact import drawn
from tests.emit_torch.packages import spec
from tests.parity.models import VOCAB, ids, redraw
from tests.parity.targets import everywhere, meaning
from tests.zoo import renaming as r
from tests.zoo.shrink import shrunk

LAYERS = ["plain", "plain", "save", "pool", "plain", "pool", "plain", "widen", "plain", "plain"]
THEIRS = {0: "encoder.blocks.0.0", 1: "encoder.blocks.0.1", 3: "encoder.blocks.1.0", 4: "encoder.blocks.1.1",
          5: "encoder.blocks.2.0", 6: "encoder.blocks.2.1", 8: "decoder.layers.0", 9: "decoder.layers.1"}  # fmt: skip
SIZES = {"vocab_size": VOCAB, "d_model": 32, "n_heads": 4, "d_head": 8, "d_ff": 48}


def at(name: str, change: Any = lambda x: x) -> r.Target:
    """A tensor of the reference's layer, whose number the pattern's first group gives."""
    return lambda stored, match: change(stored[f"funnel.{THEIRS[int(match[1])]}.{match.expand(name)}"])


FUNNEL: r.Table = {
    r"vocab\.weight": "funnel.embeddings.word_embeddings.weight",
    r"encoder\.text\.then\.0\.(weight|bias)": r"funnel.embeddings.layer_norm.\1",
    r"head\.logits\.bias": "lm_head.bias",
    r"encoder\.(\d+)\.attention\.([qkv])\.(weight|bias)": at(r"attention.\2_head.\3"),
    r"encoder\.(\d+)\.attention\.o\.(weight|bias)": at(r"attention.post_proj.\2"),
    r"encoder\.(\d+)\.attention\.sum_norm\.(weight|bias)": at(r"attention.layer_norm.\2"),
    r"encoder\.(\d+)\.attention\.relative_vectors\.r\.weight": at("attention.r_kernel", lambda x: x.flatten(1).T),
    r"encoder\.(\d+)\.attention\.relative_vectors\.u\.weight": at("attention.r_w_bias"),
    r"encoder\.(\d+)\.attention\.relative_vectors\.v\.weight": at("attention.r_r_bias"),
    r"encoder\.(\d+)\.attention\.relative_segments\.bias": at("attention.r_s_bias"),
    # The reference keeps the vector of another segment first.
    r"encoder\.(\d+)\.attention\.relative_segments\.vectors": at("attention.seg_embed", lambda x: x.flip(0)),
    r"encoder\.(\d+)\.mlp\.up\.(weight|bias)": at(r"ffn.linear_1.\2"),
    r"encoder\.(\d+)\.mlp\.down\.(weight|bias)": at(r"ffn.linear_2.\2"),
    r"encoder\.(\d+)\.mlp\.sum_norm\.(weight|bias)": at(r"ffn.layer_norm.\2"),
}


def small() -> Program:
    return lower(shrunk("funnel-small", {"encoder": LAYERS}, SIZES))


@pytest.mark.parametrize("length", [17, 16, 15, 14])
@torch.no_grad()
def test_model_is_transformers(length: int, tmp_path: Path) -> None:
    """Padding on the right of one row, two token types and the first token's own."""
    config: Any = {"vocab_size": VOCAB, "block_sizes": [2, 2, 2], "num_decoder_layers": 2, "d_model": 32, "n_head": 4,
                   "d_head": 8, "d_inner": 48}  # fmt: skip
    model, program = redraw(FunnelForMaskedLM(FunnelConfig(**config))), small()
    weights = r.renamed(program.parameter_paths(), model.state_dict(), FUNNEL)
    mask, types = torch.ones(2, length, dtype=torch.long), torch.zeros(2, length, dtype=torch.long)
    mask[1, -5:] = 0
    types[:, 7:], types[:, 0] = 1, 2
    inputs = {"input_ids": ids(2, length), "attention_mask": mask, "token_type_ids": types}
    expected = model(**inputs | {"attention_mask": mask.float()}).logits
    everywhere(program, weights, inputs, expected, tmp_path, steps=False, valid=mask.bool())


def encoder(layers: list[Any], **blocks: Any) -> dict[str, Any]:
    rope = {"op": {"type": "attention", "n_heads": 2, "position": ["rope"]}, "pre_norm": "rms"}
    stack = {"streams": {"x": "text", "kept": "zero"}, "final_norm": "rms"}
    return spec(blocks={"main": [rope], **blocks}, layers=layers, stack=stack)


POOL: dict[str, Any] = {"resample": {"type": "mean_pool", "stride": 3}}
KEEP = {"read": "x", "write": "kept", "op": "identity", "residual": "replace"}
BACK: list[Any] = [{"resample": {"type": "repeat", "factor": 3}}, {"read": "kept", "op": "identity"}]


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("length", [15, 13, 11])
def test_rotation_over_pooled_rows(first: bool, length: int, tmp_path: Path) -> None:
    """Strides other than two, with and without the first row apart, a window over pooled rows, padding."""
    pool = {"resample": {**POOL["resample"], "keep_first": first}}
    back = [{"resample": {**BACK[0]["resample"], "keep_first": first}}, BACK[1]]
    near = {"op": {"type": "attention", "n_heads": 2, "mask": {"type": "window", "behind": 2, "ahead": 1}}}
    document = encoder(["main", "pool", "main", "near", "back", "main"], pool=[KEEP, pool], near=[near], back=back)
    program = lower(resolve(load_spec(document)))
    weights = {path: weight.float() for path, weight in drawn(program).items()}
    tokens, mask = ids(2, length), torch.ones(2, length, dtype=torch.long)
    mask[1, -4:] = 0
    inputs = {"input_ids": tokens, "attention_mask": mask}
    expected = meaning(program, weights, inputs)
    everywhere(program, weights, inputs, expected, tmp_path, steps=False, valid=mask.bool())


def test_pooled_output() -> None:
    """An encoder may end on pooled rows: padding goes with them."""
    document = encoder(["main", "pool", "main"], pool=[KEEP, POOL])
    document["head"] = {"read": "mean", "logits": "linear"}
    program = lower(resolve(load_spec(document)))
    weights = drawn(program)
    tokens, mask = ids(1, 9), torch.tensor([[1] * 6 + [0] * 3])
    padded = meaning(program, weights, {"input_ids": tokens, "attention_mask": mask})
    torch.testing.assert_close(padded, meaning(program, weights, {"input_ids": tokens[:, :6]}))


OVER_POOLED: dict[str, dict[str, Any]] = {
    "a sink": {"extra_keys": ["sink"]},
    "learned keys": {"extra_keys": [{"type": "learned", "count": 2}]},
    "keys of the wider stream": {"extra_keys": [{"type": "stream", "name": "kept"}]},
    "other rows as keys": {"source": "kept"},
    "segments": {"position": ["relative_segments"]},
    "distances, no first row apart": {"position": [
        {"type": "relative_vectors", "vectors": {"type": "sinusoid", "clamp": 5}, "terms": ["q_r", "v_r"],
         "projection": "own"}]},
    "by head": {"mask": {"type": "by_head", "of": ["full", "causal"]}},
}  # fmt: skip


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("form", OVER_POOLED)
def test_attention_over_pooled_rows(form: str, inside: bool, tmp_path: Path) -> None:
    """In the layer that pools, and in one of its own."""
    op = {"op": {"type": "attention", "n_heads": 2, **OVER_POOLED[form]}, "pre_norm": "rms"}
    pool, layers = ([KEEP, POOL, op], ["main", "pool"]) if inside else ([KEEP, POOL], ["main", "pool", "own"])
    document = encoder([*layers, "back", "main"], pool=pool, own=[op], back=BACK)
    if inside:
        del document["stacks"]["decoder"]["blocks"]["own"]
    program = lower(resolve(load_spec(document)))
    weights = {path: weight.float() for path, weight in drawn(program).items()}
    mask, types = torch.ones(2, 13, dtype=torch.long), torch.zeros(2, 13, dtype=torch.long)
    mask[1, -4:], types[:, 5:] = 0, 1
    inputs = {"input_ids": ids(2, 13), "attention_mask": mask}
    inputs |= {"token_type_ids": types} if form == "segments" else {}
    expected = meaning(program, weights, inputs)
    everywhere(program, weights, inputs, expected, tmp_path, steps=False, valid=mask.bool())


def test_a_pooled_encoder_is_looked_at(tmp_path: Path) -> None:
    """A decoder sees the pooled rows of another stack, and which of them are real."""
    document = spec(attention={"position": []}, layers=["main"])
    attend = {"op": {"type": "attention", "n_heads": 2}, "pre_norm": "rms"}
    document["stacks"] = {
        "encoder": {"d_model": 16, "input": {"sum": ["tokens"]},
                    "blocks": {"main": [attend, POOL]}, "layers": [{"repeat": 2, "of": ["main"]}]},
        **document["stacks"],
    }  # fmt: skip
    document["stacks"]["decoder"]["input"] = {
        "name": "target",
        "sum": [{"type": "tokens", "name": "decoder_input_ids"}],
    }
    look = {"op": {"type": "attention", "n_heads": 2, "source": "encoder"}, "pre_norm": "rms"}
    document["stacks"]["decoder"]["blocks"]["main"].append(look)
    program = lower(resolve(load_spec(document)))
    weights = {path: weight.float() for path, weight in drawn(program).items()}
    source, mask = ids(2, 20, seed=1), torch.ones(2, 20, dtype=torch.long)
    mask[1, 9:] = 0
    inputs = {"input_ids": source, "attention_mask": mask, "decoder_input_ids": ids(2, 7)}
    expected = meaning(program, weights, inputs)
    # Whole groups of nine rows: what is padding does not matter.
    alone = meaning(
        program, weights, {"input_ids": source[1:, :9], "decoder_input_ids": inputs["decoder_input_ids"][1:]}
    )
    torch.testing.assert_close(expected[1:], alone)
    everywhere(program, weights, inputs, expected, tmp_path)


ATTEND: dict[str, Any] = {"op": {"type": "attention", "n_heads": 2, "source": "kept"}}
REFUSED: dict[str, tuple[list[Any], str]] = {
    "not pooled before": ([{"resample": {"type": "repeat", "factor": 2}}], "make up its factor 2"),
    "another factor": ([POOL, {"resample": {"type": "repeat", "factor": 2}}], "make up its factor 2"),
    "the first apart": (
        [POOL, {"resample": {"type": "repeat", "factor": 3, "keep_first": True}}], "make up its factor 3"
    ),
    "other rows": ([KEEP, POOL, {"read": "kept", "op": "identity"}], "adds to rows of another length"),
    "joined": ([KEEP, POOL, {"read": {"sum": ["x", "kept"]}, "op": "identity"}], "streams of different lengths"),
    "a mask between": (
        [KEEP, POOL, {"op": {**ATTEND["op"], "mask": "causal"}}], "the mask 'causal' between rows of different lengths"
    ),
    "zeros": (
        [POOL, {"op": {"type": "attention", "n_heads": 2, "extra_keys": [{"type": "zeros", "count": 1}]}}],
        "zeros over pooled rows",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str) -> None:
    body, message = REFUSED[what]
    write = [] if KEEP in body else [KEEP]
    with pytest.raises(InputError, match=message):
        lower(resolve(load_spec(encoder(["main", "odd"], odd=[*body, *write]))))


def test_cost_is_of_pooled_rows() -> None:
    """Every product of the reference's forward, counted by hand: 17 rows, then 9, then 5, then 17."""
    d, ff, heads, width, vocab = 32, 48, 4, 8, VOCAB

    def layer(queries: int, keys: int, gap: int) -> int:
        inner = heads * width
        distances = (queries - 1) * gap + keys  # of queries `gap` keys apart
        products = queries * d * inner + 2 * keys * d * inner + queries * inner * d + 2 * queries * d * ff
        return 2 * (
            products
            + 2 * queries * keys * inner  # content scores and values
            # waves projected and queries with them, or queries projected and waves with them
            + min(distances * d * inner + queries * distances * inner, heads * queries * (width + distances) * d)
            + 2 * queries * inner  # segments
        )  # fmt: skip

    rows = [(17, 17, 1), (17, 17, 1), (9, 17, 2), (9, 9, 1), (5, 9, 2), (5, 5, 1), (17, 17, 1), (17, 17, 1)]
    expected = sum(layer(*row) for row in rows) + 2 * 17 * d * vocab
    report = cost(shrunk("funnel-small", {"encoder": LAYERS}, SIZES), context=17)
    assert report.flops.prefill == expected
    assert "pooled rows" in (report.no_step or "")


def test_each_row_is_pooled_as_declared() -> None:
    """The reference's groups of seven rows: the first alone, two and two, and the last left over."""
    x = torch.arange(7.0)[None, :, None]
    run = ops.meaning("pool_rows").run
    found: Tensor = run([x], {}, {"stride": 2, "keep_first": True}, Context())[0]
    assert found.flatten().tolist() == [0, 1.5, 3.5, 5]
    assert run([x], {}, {"stride": 3}, Context())[0].flatten().tolist() == [1, 4, 6]
    assert run([x], {}, {"stride": 3, "keep_first": True}, Context())[0].flatten().tolist() == [0, 2, 4]
