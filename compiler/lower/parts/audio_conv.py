"""A wave cut into rows by convolutions with steps."""

from typing import Any

from compiler.lower.context import Scope
from compiler.lower.pointwise import activation, norm


def lower(s: Scope, part: Any, given: dict[str, str], home: str, at: str) -> str:
    x = given["ids"]
    for i, (channels, kernel, stride) in enumerate(zip(part.channels, part.kernels, part.strides, strict=True)):
        roles = ["weight", *(["bias"] if part.bias else [])]
        x = s.b.node(
            "strided_conv", x, at=f"{at}.{i}", params={role: f"{home}.{i}.{role}" for role in roles}, kind="conv",
            channels=channels, kernel=kernel, stride=stride, bias=part.bias,
        )  # fmt: skip
        if part.norm is not None:
            x = norm(s, part.norm, x, f"{home}.{i}.norm", f"{at}.{i}.norm")
        x = activation(s, part.activation, x, f"{at}.{i}.act")
    return x
