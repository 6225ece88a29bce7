"""Rules of inputs: widths that must agree, places that must suffice."""

from typing import Any

from archspec.spec.rule import Around, Problem


def sinusoid(part: Any, around: Around) -> Problem:
    return ("width", f"found {part.width}; sines and cosines come in pairs") if part.width % 2 else None


def axial(part: Any, around: Around) -> Problem:
    if len(part.shape) != len(part.widths):
        return "widths", f"{len(part.widths)} widths for {len(part.shape)} axes"
    product = 1
    for size in part.shape:
        product *= size
    if "max_length" in around and product < around["max_length"]:
        return "shape", f"has {product} places, fewer than max_length ({around['max_length']})"
    return None


def patches(part: Any, around: Around) -> Problem:
    if part.size % part.patch:
        return "patch", f"found {part.patch}; the size ({part.size}) must be a multiple of it"
    return None


def audio(part: Any, around: Around) -> Problem:
    if not len(part.channels) == len(part.kernels) == len(part.strides) > 0:
        return "channels", "channels, kernels and strides must have one item for each convolution"
    return None


def cutoffs(node: Any, around: Around) -> Problem:
    cutoffs = node.cutoffs
    if any(b <= a for a, b in zip((0, *cutoffs), (*cutoffs, node.size), strict=True)):
        return "cutoffs", f"found {list(cutoffs)}; allowed: rising, all below the size ({node.size})"
    if "d_model" in around and around["d_model"] < node.divide ** len(cutoffs):
        return "divide", f"found {node.divide:g}; the last of {len(cutoffs) + 1} clusters would have no width"
    return None


def widths(item: Any, around: Around) -> Problem:
    """Every part of a sum has one width, and the sum ends at d_model."""
    if not item.sum:
        return "sum", "at least one part is needed"
    widths = [_after(part.then, _width(part, around["d_model"])) for part in item.sum]
    for i, width in enumerate(widths):
        if width != widths[0]:
            return f"sum/{i}", f"has width {width}, and the first part of the sum {widths[0]}"
    if (width := _after(item.then, widths[0])) != around["d_model"]:
        place = "then" if item.then else "sum"
        return place, f"has width {width}, not d_model ({around['d_model']}); a `linear` in `then` changes a width"
    return None


def _width(part: Any, d_model: int) -> int:
    if part.type == "axial":
        return sum(part.widths)
    if part.type == "audio_conv":
        return part.channels[-1]
    return int(getattr(part, "width", d_model))


def _after(steps: tuple[Any, ...], width: int) -> int:
    return next((step.width for step in reversed(steps) if step.type == "linear"), width)
