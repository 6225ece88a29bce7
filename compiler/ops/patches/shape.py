"""An image cut into squares, each mapped to a row: (B, C, n, n) -> (B, (n/patch)² [+ 1], width), the class row first.

weight (width, C, patch, patch), bias (width,) where there is one, class_token (width,) (ViT, arXiv 2010.11929).
"""

from collections.abc import Sequence

from compiler.ir.types import TensorType
from compiler.ops.base import REQUIRED, Attrs, Env, Flops, Op


class Patches(Op):
    name = "patches"
    fields = {"patch": REQUIRED, "width": REQUIRED, "class_token": False, "bias": False}

    def infer(self, inputs: Sequence[TensorType], attrs: Attrs) -> tuple[TensorType, ...]:
        squares = (int(inputs[0].shape[2]) // attrs["patch"]) ** 2
        return (TensorType("float", (inputs[0].shape[0], squares + bool(attrs.get("class_token")), attrs["width"])),)

    def params(self, inputs: Sequence[TensorType], attrs: Attrs) -> dict[str, tuple[int, ...]]:
        width, patch = attrs["width"], attrs["patch"]
        shapes: dict[str, tuple[int, ...]] = {"weight": (width, int(inputs[0].shape[1]), patch, patch)}
        shapes |= {"bias": (width,)} if attrs.get("bias") else {}
        return shapes | ({"class_token": (width,)} if attrs.get("class_token") else {})

    def flops(self, inputs: Sequence[TensorType], attrs: Attrs, env: Env) -> Flops:
        n = 2 * inputs[0].elements(env) * attrs["width"]
        return Flops(n, n)


OP = Patches()
