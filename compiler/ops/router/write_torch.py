"""`router` in PyTorch: scores, what is chosen, and its weights."""

from compiler.emit.torch.writer import RUNTIME, Writer
from compiler.ir.graph import Node


def write(w: Writer, node: Node) -> None:
    w.helper("wide", f"{RUNTIME}.scan")
    logits, k = w.read(node, 0), node.attrs["top_k"]
    score = {"softmax": "torch.softmax(wide({}), -1)", "sigmoid": "torch.sigmoid(wide({}))"}
    scores = w.local("scores")
    experts = w.type(node.inputs[0]).shape[-1]
    w.line(f"{scores} = {score.get(w.attr(node, 'score'), 'wide({})').format(logits)}", f"(B, S, {experts})")
    choice = scores
    if w.attr(node, "select_bias"):
        choice = w.local("choice")
        w.line(f"{choice} = {scores} + {w.param(node, 'select_bias')}")
    if w.attr(node, "groups"):
        w.helper("keep_groups")
        best = 1 if w.attr(node, "groups_score") == "max" else 2
        kept = w.local("choice")
        w.line(f"{kept} = keep_groups({choice}, {node.attrs['groups']}, {node.attrs['groups_keep']}, {best})")
        choice = kept
    weights, index = w.local("weights"), w.local("index")
    w.names.update(zip(node.outputs, (weights, index), strict=True))
    shape = w.shape(node.outputs[0])
    if choice == scores:
        w.line(f"{weights}, {index} = {scores}.topk({k}, -1)", f"{shape} each")
    else:
        w.line(f"{index} = {choice}.topk({k}, -1).indices", shape)
        w.line(f"{weights} = {scores}.gather(-1, {index})", shape)
    match w.attr(node, "weights"):
        case "sum_to_one":
            eps = float(w.attr(node, "eps"))
            total = f"{weights}.sum(-1, keepdim=True)"
            w.line(f"{weights} = {weights} / {f'({total} + {eps!r})' if eps else total}")
        case "softmax_selected":
            w.line(f"{weights} = torch.softmax({weights}, -1)")
    scale = float(w.attr(node, "scale"))
    w.line(f"{weights} = {f'({weights} * {scale!r})' if scale != 1 else weights}.to({logits}.dtype)")
