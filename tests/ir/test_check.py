"""Every rule of well-formedness, each broken once; the error names program, graph, node and rule."""

from dataclasses import replace

import pytest

from compiler.ir.check import check
from compiler.ir.graph import GraphError, Node, toposort
from compiler.ir.program import Param
from compiler.ir.text import parse
from tests.ir.test_text import TINY

GOOD = parse(TINY)
WHERE = r"tiny: graph decoder, node q \(linear\): "


def main(*nodes, outputs=("y",)):
    return replace(GOOD, main=replace(GOOD.main, nodes=nodes, outputs=outputs))


def block(**changes):
    (node,) = GOOD.blocks["decoder"].nodes
    graph = replace(GOOD.blocks["decoder"], nodes=(node.with_(**changes),), checked=None)
    return replace(GOOD, blocks={"decoder": graph})


def test_a_good_program_passes_and_is_typed():
    assert check(GOOD) == GOOD
    assert str(check(GOOD).main.types["y"]) == "float[B, S, 4]"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"op": "lineal"}, "there is no such operator"),
        ({"inputs": ("z",)}, "reads z, which nothing before it makes"),
        ({"inputs": ("x", "x")}, "2 inputs, allowed 1 to 1"),
        ({"inputs": ()}, "0 inputs, allowed 1 to 1"),
        ({"attrs": {"width": 4, "depth": 2}}, "has no field depth"),
        ({"attrs": {}}, "field width is missing"),
        ({"attrs": {"width": 5}}, r"has shape \(4, 4\), needs \(5, 4\)"),
        ({"params": {}}, r"parameters \[\], declared \['weight'\]"),
        ({"params": {"weight": "nowhere"}}, "parameter nowhere is not in the program"),
        ({"outputs": ("q", "r")}, "2 outputs named, the operator makes 1"),
        ({"outputs": ("x",)}, "x is made twice"),
        ({"outputs": ("",)}, "an output has no name"),
    ],
)
def test_a_node_that_breaks_a_rule(changes, rule):
    where = WHERE if set(changes) - {"op", "outputs"} else "tiny: graph decoder, node "
    with pytest.raises(GraphError, match=f"{where}.*{rule}"):
        check(block(**changes))


def test_what_the_operator_itself_refuses():
    split = Node("split", ("x",), ("a", "b"), {"sizes": [1, 2]})
    with pytest.raises(GraphError, match="sizes add up to 3, the axis has 4"):
        check(main(GOOD.main.nodes[0], split, outputs=("a",)))


def test_an_output_that_nothing_makes():
    with pytest.raises(GraphError, match="graph main: output w is never made"):
        check(main(*GOOD.main.nodes, outputs=("w",)))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"attrs": {"calls": [["encoder", "encoder", 0, 2]]}}, "there is no block encoder"),
        ({"attrs": {}}, "has the field calls, may have numbers"),
        ({"params": {"weight": "vocab.weight"}}, "has the field calls, may have numbers"),
        ({"inputs": ("x", "ids")}, "block decoder takes 1 values and gives 1"),
        ({"inputs": ("ids",)}, r"block decoder wants x: float\[B, S, 4\], gets int\[B, S\]"),
    ],
)
def test_a_repeat_that_does_not_fit_its_block(change, rule):
    embed, repeat = GOOD.main.nodes
    with pytest.raises(GraphError, match=rule):
        check(main(embed, repeat.with_(**change)))


def test_a_block_that_cannot_run_twice():
    wide = GOOD.blocks["decoder"].nodes[0].with_(attrs={"width": 5})
    graph = replace(GOOD.blocks["decoder"], nodes=(wide,), checked=None)
    params = {**GOOD.params, "{decoder}.q.weight": Param((5, 4))}
    with pytest.raises(GraphError, match=r"wants x: float\[B, S, 4\], gets float\[B, S, 5\]"):
        check(replace(GOOD, blocks={"decoder": graph}, params=params))
    once = GOOD.main.nodes[1].with_(attrs={"calls": [["decoder", "decoder", 0, 1]]})
    program = check(replace(main(GOOD.main.nodes[0], once), blocks={"decoder": graph}, params=params))
    assert str(program.main.types["y"]) == "float[B, S, 5]"


def test_a_block_that_is_never_called():
    with pytest.raises(GraphError, match="block decoder is never called"):
        check(main(GOOD.main.nodes[0], outputs=("x",)))


def test_a_checked_graph_is_checked_again_when_its_parameters_change():
    params = {**GOOD.params, "{decoder}.q.weight": Param((5, 4))}
    with pytest.raises(GraphError, match=r"has shape \(5, 4\), needs \(4, 4\)"):
        check(replace(GOOD, params=params))


def test_toposort():
    a, b, c = (Node("scale", (i,), (o,), {"by": 2}) for i, o in (("x", "a"), ("a", "b"), ("b", "c")))
    other = Node("scale", ("x",), ("o",), {"by": 3})
    assert toposort([c, other, a, b], ["x"]) == (other, a, b, c)
    assert toposort([a, b, c], ["x"]) == (a, b, c)
    with pytest.raises(GraphError, match="cycle"):
        toposort([a.with_(inputs=("c",)), b, c], ["x"])
