"""Memory and operations of one training step, by formula: states of the optimizer and what autograd keeps.

bf16 weights with an fp32 master copy and Adam: 2 weight + 2 gradient + 4 master + 4 + 4 moments = 16 bytes a parameter.
Activations: every value that a backward pass reads, once, from the operators' declarations over the unrewritten graph
(fused attention keeps q, k, v, its output and 4 bytes a row and head). No dropout; norms that upcast keep more.
"""

from dataclasses import dataclass

from compiler import ops
from compiler.cost.devices import Device
from compiler.cost.formats import Storage
from compiler.cost.liveness import Liveness, roots
from compiler.cost.memory import RESERVE_SHARE
from compiler.ir.graph import Graph
from compiler.ir.program import Program
from compiler.ir.types import size
from compiler.ops.base import Env

STATE_BYTES = {"weights": 2, "gradients": 2, "master_weights": 4, "optimizer": 8}
LOGIT_BYTES = 14  # bf16 logits, an fp32 copy, log-softmax and its gradient in fp32
FORWARD_AND_BACKWARD = 3  # the backward pass costs two forward passes


@dataclass(frozen=True, slots=True)
class Training:
    """Bytes; `activations_checkpointed` keeps only what enters each layer and recomputes one layer at a time."""

    weights: int
    gradients: int
    master_weights: int
    optimizer: int
    activations: int
    activations_checkpointed: int
    logits: int
    workspace: int
    reserve: int
    total: int
    flops_per_step: int


def training(program: Program, env: Env, storage: Storage, device: Device, *, parameters: int, flops: int) -> Training:
    """One step over B x S tokens. `program`: unrewritten. flops: of the forward, dense."""
    states = {name: each * parameters for name, each in STATE_BYTES.items()}
    counts = program.counts()
    outside = saved_bytes(program.main, env, storage)
    layers = {name: saved_bytes(block, env, storage) for name, block in program.blocks.items()}
    kept = outside + sum(layers[name] * n for name, n in counts.items())
    entering = sum(_carried(program, name, env, storage) * n for name, n in counts.items())
    checkpointed = outside + entering + max([*layers.values(), Liveness(program, env, storage).peak()])
    has_head = program.meta.get("has_head", True)
    logits = LOGIT_BYTES * sum(program.main.types[v].elements(env) for v in program.main.outputs) if has_head else 0
    held = sum(states.values()) + kept + logits
    reserve = round(RESERVE_SHARE * held)
    total = held + reserve + device.context_bytes
    return Training(
        **states, activations=kept, activations_checkpointed=checkpointed, logits=logits,
        workspace=device.context_bytes, reserve=reserve, total=total, flops_per_step=FORWARD_AND_BACKWARD * flops,
    )  # fmt: skip


def saved_bytes(graph: Graph, env: Env, storage: Storage) -> int:
    """Bytes of the values that the backward pass of one run of `graph` reads, each once."""
    root = roots(graph)
    saved: dict[str, None] = {}
    rows = 0
    for node in graph.nodes:
        if node.op == "repeat":
            continue
        op = ops.get(node.op)
        kept = op.kept(node.attrs)
        if "inputs" in kept:
            saved |= dict.fromkeys(root[v] for v in node.inputs if v)
        if "outputs" in kept:
            saved |= dict.fromkeys(root[v] for v in node.outputs)
        if len(kept) == 2:  # an attention: the logarithm of each row's sum too
            rows += _rows(graph, node.outputs[0], env)
    floats = (graph.types[v] for v in saved if graph.types[v].dtype not in ("int", "bool"))
    return sum(t.elements(env) * storage.value_bytes(t.dtype) for t in floats) + 4 * rows


def _rows(graph: Graph, value: str, env: Env) -> int:
    """Softmax rows of an attention's output (B, H, S, D): one number each is kept in fp32."""
    rows = 1
    for dim in graph.types[value].shape[:-1]:
        rows *= size(dim, env)
    return rows


def _carried(program: Program, name: str, env: Env, storage: Storage) -> int:
    """Bytes of the streams that enter one layer."""
    block = program.blocks[name]
    streams = list(block.inputs.values())[: len(block.outputs)]
    return sum(t.elements(env) * storage.value_bytes(t.dtype) for t in streams)
