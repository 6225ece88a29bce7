"""The random directions of `lsh_attention` without torch: what `torch.randn` draws on the CPU from a seeded generator.

Source: PyTorch 2.13, aten/src/ATen: core/MT19937RNGEngine.h, core/DistributionsHelper.h and
native/cpu/DistributionTemplates.h (`normal_fill`). MT19937 is seeded by the low 32 bits; Box-Muller works over blocks
of 16 numbers, the last of which is drawn anew where the count is no multiple of 16, all in float32; fewer than 16
numbers come one pair after another, from 53 bits each. torch's vectorised logarithm and cosine round differently: the
last bit may differ.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.ops.base import Attrs


def directions(heads: int, width: int, attrs: Attrs) -> NDArray[np.float32]:
    """(heads, width, rounds, buckets / 2), drawn from `seed`."""
    shape = (heads, width, attrs.get("rounds", 1), attrs["buckets"] // 2)
    return normal(int(np.prod(shape)), attrs.get("seed", 0)).astype(np.float32).reshape(shape)


def normal(count: int, seed: int) -> NDArray[Any]:
    """So many numbers as `torch.randn(count, generator=torch.Generator().manual_seed(seed))`."""
    stream = np.random.RandomState(seed % (1 << 32))

    def bits(many: int) -> NDArray[np.uint64]:
        return stream.randint(0, 1 << 32, many, np.uint32).astype(np.uint64)

    if count < 16:
        high, low = bits(2 * (count + count % 2)).reshape(-1, 2).T
        even = (((high << np.uint64(32)) | low) & np.uint64((1 << 53) - 1)) * 2.0**-53
        angle, radius = even.reshape(-1, 2).T
        return _pairs(radius, angle).T.ravel()[:count]
    drawn = bits(count)
    spare = bits(16) if count % 16 else drawn[:0]
    whole = count // 16 * 16
    made, last = _blocks(drawn[:whole]), _blocks(spare)
    return np.concatenate((made[: count - len(last)], last))


def _blocks(bits: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Whole blocks of 16 draws as normal numbers, from 24 bits each."""
    even = (bits & np.uint64((1 << 24) - 1)).astype(np.float32) * np.float32(2**-24)
    radius, angle = even.reshape(-1, 2, 8).transpose(1, 0, 2)
    return _pairs(radius, angle).swapaxes(0, 1).reshape(-1)


def _pairs(radius: NDArray[Any], angle: NDArray[Any]) -> NDArray[Any]:
    """Box-Muller: (2, ...)."""
    length, turn = np.sqrt(-2 * np.log1p(-radius)), angle * angle.dtype.type(2 * np.pi)
    return np.stack((length * np.cos(turn), length * np.sin(turn)))
