"""`per_layer_config`: fields of single layers, over those of the whole file, whatever the family.

Format: transformers 5.23 `integrations/heterogeneity/configuration_utils.py`: layer number -> fields, and `skip`, a
list of what the layer leaves out ("attention", "mlp"). A layer is what it would be if its fields held for the whole
file; what they change beside the layer is refused. No model of that release builds itself from it but those made for
it; its layer classes, given the fields of one layer, are what the tests compare with.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from archspec.errors import InputError
from archspec.interop.hf.config import Config
from archspec.interop.hf.family import CannotSay, Family, HeadKind
from archspec.interop.hf.inert import ALWAYS
from archspec.interop.hf.layout import entries
from archspec.interop.tensor_map import TensorMap
from archspec.spec import Resolved, pointer
from archspec.spec.resolved import branches
from archspec.spec.steps import Body
from archspec.spec.types import Branch

FIELD = "per_layer_config"
PARTS = {
    "attention": {"attention", "latent_attention", "linear_attention"},
    "mlp": {"mlp", "gated_mlp", "moe"},
}


class _LayerConfig(Config):
    """The whole file with one layer's fields over its own; errors name those where they stand."""

    def __init__(self, fields: Mapping[str, Any], own: Mapping[str, Any], source: str, key: str) -> None:
        super().__init__({**fields, **own}, source)
        self.own, self.key = own, key

    def place(self, name: str) -> str:
        return f"{FIELD}/{self.key}/{name}" if name.partition("/")[0] in self.own else name


@dataclass(frozen=True)
class Layers:
    """Which layers have fields of their own: number -> (configuration, parts left out)."""

    found: Mapping[int, tuple[_LayerConfig, frozenset[str]]]
    source: str

    def fail(self, layer: int, message: str) -> InputError:
        return InputError(message, source=self.source, path=f"/{FIELD}/{layer}")


def read(fields: Mapping[str, Any], source: str) -> Layers | None:
    """None where the file has no such field."""
    said = fields.get(FIELD)
    if said is None:
        return None
    rest = {name: value for name, value in fields.items() if name != FIELD}
    if not isinstance(said, dict):
        raise InputError(f"found {said!r}, expected an object", source=source, path=f"/{FIELD}")
    found: dict[int, tuple[_LayerConfig, frozenset[str]]] = {}
    for key, own in said.items():
        at = f"/{FIELD}/{key}"
        if not (key.isascii() and key.isdigit()) or int(key) in found:
            raise InputError("expected the number of a layer, each once", source=source, path=at)
        if not isinstance(own, dict):
            raise InputError(f"found {own!r}, expected an object", source=source, path=at)
        skip = own.get("skip", [])
        if not isinstance(skip, list) or not all(part in PARTS for part in skip):
            raise InputError(f"found {skip!r}, understood are {', '.join(PARTS)}", source=source, path=f"{at}/skip")
        config = _LayerConfig(rest, {name: value for name, value in own.items() if name != "skip"}, source, key)
        found[int(key)] = (config, frozenset(skip))
    return Layers(found, source)


def spec(base: dict[str, Any], layers: Layers, importer: Family, head: HeadKind) -> dict[str, Any]:
    """The spec of the whole file with these layers in place of its own."""
    name, stack = _only_stack(base, layers)
    kinds = _expanded(stack["layers"])
    blocks = {kind: _written(stack["blocks"], kind) for kind in dict.fromkeys(kinds)}
    for layer, (config, skip) in sorted(layers.found.items()):
        if layer >= len(kinds):
            raise layers.fail(layer, f"there are {len(kinds)} layers, counted from 0")
        variant = importer.spec(config, head)
        config.finish(tuple(ALWAYS | importer.inert), only=config.own)
        other = variant["stacks"].get(name, {})
        if _frame(variant, name) != _frame(base, name) or len(_expanded(other["layers"])) != len(kinds):
            raise layers.fail(layer, "these fields change more than the layer")
        block = _left(_written(other["blocks"], _expanded(other["layers"])[layer]), skip)
        if not block:
            raise layers.fail(layer, "nothing is left of the layer")
        known = next((known for known, steps in blocks.items() if steps == block), None)
        if known is None:
            known = f"{kinds[layer]}_layer_{layer}"
            blocks[known] = block
        kinds[layer] = known
    stack = {**stack, "blocks": {kind: blocks[kind] for kind in blocks if kind in kinds}, "layers": entries(kinds)}
    return {**base, "stacks": {**base["stacks"], name: stack}}


def tensors(base: TensorMap, layers: Layers, importer: Family, head: HeadKind, stack: str) -> TensorMap:
    """The tensors of the whole file, those of these layers as their own fields have them."""
    recipes = dict(base.recipes)
    for layer, (config, skip) in layers.found.items():
        prefix = f"{stack}.{layer}."
        left = tuple(f"{prefix}{op}." for part in skip for op in PARTS[part])
        own = {path: recipe for path, recipe in importer.tensors(config, head).recipes.items()
               if path.startswith(prefix) and not path.startswith(left)}  # fmt: skip
        recipes = {path: recipe for path, recipe in recipes.items() if not path.startswith(prefix)} | own
    return TensorMap(recipes, base.prefix, base.unread, base.copies, base.old_endings)


def fields(importer: Family, resolved: Resolved, original: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a spec whose layers differ in more than the family has words for: what `original` has or most
    layers have, and of the others what is different. It need not be right: the caller reads it back."""
    stack = resolved.stacks[resolved.output]
    if not stack.layers:
        raise CannotSay("there are layers")
    bodies = [stack.bodies[layer.body] for layer in stack.layers]
    whole = max(bodies, key=len)
    filled = [body if len(body) == len(whole) else _filled(body, whole) for body in bodies]

    def config(wanted: list[Body]) -> dict[str, Any]:
        distinct = tuple(dict.fromkeys(wanted))
        layers = tuple(replace(layer, body=distinct.index(b)) for layer, b in zip(stack.layers, wanted, strict=True))
        changed = replace(stack, bodies=distinct, layers=layers)
        return importer.config(replace(resolved, stacks={**resolved.stacks, resolved.output: changed}))

    # What tells kinds of layers apart (full ones and those with a window) the family has words for.
    together, alone = config(filled), {body: config([body] * len(filled)) for body in dict.fromkeys(filled)}
    layers = [alone[body] for body in filled]
    kinds = [_kind(body) for body in filled]
    own = [name for name in together if _varies(name, layers, kinds)]
    base = {**together, **{name: original.get(name, _commonest(name, layers)) for name in own}}
    out: dict[str, Any] = {}
    for i, (layer, body) in enumerate(zip(layers, bodies, strict=True)):
        found = {name: layer[name] for name in own if layer[name] != base[name]}
        found |= {"skip": skip} if (skip := _skipped(body, whole)) else {}
        if found:
            out[str(i)] = found
    return {**base, FIELD: out}


def _kind(body: Body) -> str:
    return repr([(branch.op.type, getattr(branch.op, "mask", None)) for branch in branches(body)])


def _varies(name: str, layers: list[dict[str, Any]], kinds: list[str]) -> bool:
    """Layers of one kind differ in this field."""
    first: dict[str, Any] = {}
    return any(
        layer.get(name) != first.setdefault(kind, layer.get(name)) for layer, kind in zip(layers, kinds, strict=True)
    )


def _commonest(name: str, layers: list[dict[str, Any]]) -> Any:
    values = [layer[name] for layer in layers]
    return max(values, key=values.count)


def _skipped(body: Body, whole: Body) -> list[str]:
    """What this layer leaves out of what the others do."""
    kinds = [{branch.op.type for branch in branches(each)} for each in (body, whole)]
    return sorted(part for part, ops in PARTS.items() if kinds[1] & ops and not kinds[0] & ops)


def _filled(body: Body, whole: Body) -> Body:
    """The layer with what it leaves out put in again."""
    own = {part: step for step in body for part, ops in PARTS.items() if _does(step, ops)}
    return tuple(
        next((own[part] for part, ops in PARTS.items() if _does(step, ops) and part in own), step) for step in whole
    )


def _does(step: Any, ops: set[str]) -> bool:
    return isinstance(step, Branch) and step.op.type in ops


def _only_stack(spec: dict[str, Any], layers: Layers) -> tuple[str, dict[str, Any]]:
    stacks = {name: stack for name, stack in spec["stacks"].items() if stack.get("layers")}
    if len(stacks) != 1:
        raise InputError("understood with one stack of layers only", source=layers.source, path=f"/{FIELD}")
    return next(iter(stacks.items()))


def _frame(spec: dict[str, Any], name: str) -> dict[str, Any]:
    """All but the layers."""
    stack = {field: value for field, value in spec["stacks"][name].items() if field not in ("blocks", "layers")}
    return {**spec, "stacks": {**spec["stacks"], name: stack}}


def _expanded(layers: list[Any]) -> list[str]:
    out: list[str] = []
    for entry in layers:
        out += [entry] if isinstance(entry, str) else _expanded(entry["of"]) * entry["repeat"]
    return out


def _written(blocks: dict[str, Any], name: str) -> list[Any]:
    """The steps of a block, `like` and `set` worked out."""
    block = blocks[name]
    if isinstance(block, list):
        return block
    steps: list[Any] = _written(blocks, block["like"])
    for place, value in block.get("set", {}).items():
        steps = pointer.replaced(steps, pointer.split(place), value)
    return steps


def _left(steps: list[Any], skip: frozenset[str]) -> list[Any]:
    """The steps without the branches that are left out."""
    ops = {op for part in skip for op in PARTS[part]}
    out = []
    for step in steps:
        if "parallel" in step:
            kept = [branch for branch in step["parallel"] if branch["op"]["type"] not in ops]
            out += [{**step, "parallel": kept}] if kept else []
        elif step["op"]["type"] not in ops:
            out.append(step)
    return out
