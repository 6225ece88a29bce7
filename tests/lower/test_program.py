"""From a resolved spec to the graph: names, paths, sharing, depth. The first graph is there to be read."""

import json

import pytest

from archspec import zoo
from archspec.errors import InputError
from archspec.spec import load_spec, resolve
from compiler import pipeline
from compiler.ir import program as ir
from compiler.ir.check import check
from compiler.ir.graph import GraphError
from compiler.ir.text import dump, node_text, parse
from compiler.lower.program import lower

RMS = {"type": "rms", "eps": 1e-5}
ATTENTION = {"type": "attention", "n_heads": 2, "mask": "causal"}
MLP = {"type": "mlp", "d_ff": 12, "activation": "relu"}


def program_of(blocks, layers=None, stack="decoder", **more):
    body = {"d_model": 8, "input": {"sum": ["tokens"]}, "blocks": blocks, "layers": layers or list(blocks)} | more
    spec = {"archspec": 1, "name": "t", "vocab_size": 11, "max_length": 16, "stacks": {stack: body}}
    return lower(resolve(load_spec(spec)))


def block_lines(program, name="decoder"):
    return [node_text(node) for node in program.blocks[name].nodes]


def test_an_mlp_layer():
    op = MLP | {"bias": ["up"]}
    program = program_of({"a": [{"pre_norm": RMS, "op": op, "residual": {"type": "add", "scale": 0.5}}]})
    norm = '{"eps": 1e-05, "gain": "weight", "at_least": "fp32", "bias": false, "eps_at": "inside"}'
    assert block_lines(program) == [
        f"mlp.pre_norm = rms_norm(x) {norm} <weight={{decoder}}.mlp.pre_norm.weight>",
        'mlp.up = linear(mlp.pre_norm) {"width": 12} <weight={decoder}.mlp.up.weight>',
        "mlp.up.bias = bias(mlp.up) {} <bias={decoder}.mlp.up.bias>",
        'mlp.act = activation(mlp.up.bias) {"function": "relu"} <>',
        'mlp.down = linear(mlp.act) {"width": 8} <weight={decoder}.mlp.down.weight>',
        'mlp.sum = add(x, mlp.down) {"left": 1, "right": 0.5} <>',
    ]
    assert [node_text(node) for node in program.main.nodes] == [
        'decoder.text.positions = positions(input_ids, attention_mask) {"counts": "index", "given": "position_ids"} <>',
        'decoder.text.tokens = embedding(input_ids) {"rows": 11, "width": 8} <weight=decoder.text.tokens.weight>',
        'decoder.x = repeat(decoder.text.tokens) {"calls": [["decoder", "decoder", 0, 1]]} <>',
    ]


def test_paths_of_repeated_named_and_shared_branches():
    body = [
        {"op": ATTENTION | {"bias": ["q"]}},
        {"op": ATTENTION | {"weights": "/everywhere"}},
        {"op": MLP, "name": "ffn"},
        {"op": MLP | {"weights": "own"}},
    ]
    program = program_of({"a": body}, [{"repeat": 2, "of": ["a"]}])
    paths = list(program.parameter_paths())
    assert [p for p in paths if p.startswith("decoder.1")] == [
        "decoder.1.attention.q.weight", "decoder.1.attention.q.bias", "decoder.1.attention.k.weight",
        "decoder.1.attention.v.weight", "decoder.1.attention.o.weight", "decoder.1.ffn.up.weight",
        "decoder.1.ffn.down.weight", "decoder.1.own.up.weight", "decoder.1.own.down.weight",
    ]  # fmt: skip
    assert sum(p.startswith("everywhere.") for p in paths) == 4  # once, not once a layer


def test_equal_layers_are_one_block_and_widths_may_differ():
    blocks = {"a": [{"op": MLP}], "b": [{"op": MLP | {"d_ff": 20}}], "c": [{"op": MLP}]}
    program = program_of(blocks, ["a", "b", "c", "a"])
    assert program.counts() == {"decoder_0": 3, "decoder_1": 1}
    shapes = {path: param.shape for path, param in program.parameter_paths().items() if path.endswith("up.weight")}
    assert [shapes[f"decoder.{i}.mlp.up.weight"] for i in range(4)] == [(12, 8), (20, 8), (12, 8), (12, 8)]
    assert list(ir.calls(program.regions()[0][0])) == [
        ir.Call(block, f"decoder.{i}") for i, block in enumerate(["decoder_0", "decoder_1", "decoder_0", "decoder_0"])
    ]


@pytest.mark.parametrize("stack", ["main", "positions.x", "a b"])
def test_any_name_of_a_stack(stack):
    try:
        program = program_of({"a": [{"op": ATTENTION}], "b": [{"op": MLP}]}, stack=stack)
        single = program_of({"a": [{"op": ATTENTION}]}, stack=stack)
    except InputError:
        return  # the language does not allow the name
    assert single.main.name not in single.blocks and program.main.name not in program.blocks
    assert pipeline.run(single)[0].blocks[stack].nodes[-1].op == "add"


def test_two_stacks_whose_block_names_would_meet():
    def stack(source=None, **more):
        steps = [[{"op": ATTENTION}], [{"op": MLP}]]
        if source:
            steps = [[{"op": ATTENTION | {"source": source, "mask": "full"}}]]
        names = [f"k{i}" for i in range(len(steps))]
        token = {"type": "tokens", "name": "input_ids" if not source else "decoder_input_ids"}
        return {"d_model": 8, "input": {"name": "i", "sum": [token]}, "blocks": dict(zip(names, steps, strict=True)),
                "layers": names} | more  # fmt: skip

    spec = {"archspec": 1, "name": "t", "vocab_size": 11, "max_length": 16, "output": "a_0",
            "stacks": {"a": stack(), "a_0": stack("a")}}  # fmt: skip
    program = lower(resolve(load_spec(spec)))
    assert set(program.counts().values()) == {1} and len(program.blocks) == 3


def test_depth_costs_nothing(monkeypatch):
    spec = zoo.read("llama-3.1-405b")
    resolved = resolve(load_spec(json.loads(json.dumps(spec))))

    def refuse(node):
        raise AssertionError("one entry a layer")

    monkeypatch.setattr(ir, "calls", refuse)
    program, records = pipeline.run(lower(resolved))
    assert program.counts() == {"decoder": 126}
    assert {r.name: r.matched for r in records}["grouped_query"] == 126


def test_what_cannot_be_lowered_is_named():
    op = ATTENTION | {"extra_keys": [{"type": "sink"}]}
    try:
        program_of({"a": [{"op": op}]})
    except InputError as error:
        assert "extra_keys" in str(error) and error.source == "t"


LINEAR = {"type": "linear_attention", "n_heads": 2, "d_key": 4}


def decays(rate, layers, **more):
    op = LINEAR | {"decay": {"type": "fixed", "rate": rate}} | more
    return program_of({"a": [{"op": op}], "b": [{"op": op}, {"op": MLP}]}, layers)


def test_layers_that_differ_only_in_decays_are_one_block():
    program = decays("=1/(2+head+layer)", ["a", "a", "b", "a", "b"])
    (_, layers), *_ = program.regions()
    assert list(program.blocks) == ["decoder_0", "decoder_1"]
    assert [call.block for call in layers] == ["decoder_0", "decoder_0", "decoder_1", "decoder_0", "decoder_1"]
    assert [list(call.numbers.values()) for call in layers] == [
        [[1 / (2 + i), 1 / (3 + i)]] for i in range(5)
    ]  # fmt: skip
    (core,) = (n for n in program.blocks["decoder_0"].nodes if n.op == "linear_attention")
    assert core.attrs["rates"] == {"by_layer": "0.decay"}
    assert ir.of_call(core, layers[3]).attrs["rates"] == [1 / 5, 1 / 6]
    text = dump(program)
    assert dump(parse(text)) == text


def test_equal_decays_are_plain_numbers():
    program = decays("=1/(2+head)", ["a", "b", "a"])
    assert all("numbers" not in node.attrs for node, _ in program.regions())
    (core,) = (n for n in program.blocks["decoder_0"].nodes if n.op == "linear_attention")
    assert core.attrs["rates"] == [1 / 2, 1 / 3]


def test_a_layer_without_its_numbers_is_no_program():
    program = decays("=1/(2+head+layer)", ["a", "a"])
    nodes = [node.with_(attrs={"calls": node.attrs["calls"]}) if node.op == "repeat" else node
             for node in program.main.nodes]  # fmt: skip
    with pytest.raises(GraphError, match=r"the 2 layers of block decoder want the numbers \['0.decay'\]"):
        check(program.with_graphs({program.main.name: program.main.rebuilt(nodes)}))


def test_two_stacks_read_ids_of_their_own() -> None:
    op = {"type": "attention", "n_heads": 2}
    stack = {"d_model": 16, "input": {"sum": ["tokens"]}, "layers": ["main"]}
    blocks = [{"main": [{"op": op}]}, {"main": [{"op": {**op, "mask": "causal"}}, {"op": {**op, "source": "encoder"}}]}]
    stacks = {name: {**stack, "blocks": block} for name, block in zip(("encoder", "decoder"), blocks, strict=True)}
    found = load_spec({"archspec": 1, "name": "two", "vocab_size": 50, "stacks": stacks})
    with pytest.raises(InputError, match="give this part a name of its own, such as 'decoder_input_ids'") as error:
        lower(resolve(found))
    assert error.value.path == "/stacks/decoder/input"
