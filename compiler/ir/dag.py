"""The networkx view of a graph, for questions about paths; apart, so that only those who ask pay for its import."""

import networkx as nx

from compiler.ir.graph import Graph


def dag(graph: Graph) -> nx.DiGraph:
    """Nodes by name; an edge where one node reads a value of another."""
    view: nx.DiGraph = nx.DiGraph()
    view.add_nodes_from(node.name for node in graph.nodes)
    for node in graph.nodes:
        makers = (graph.producer(value) for value in node.inputs)
        view.add_edges_from((maker.name, node.name) for maker in makers if maker is not None)
    return view
