"""A prior for quality: what a scaling law and published or measured corrections expect before anything is trained.

    loss = E + A / N^a + B / D^b  +  corrections          nats per token
    bits per byte = loss / ln 2 / BYTES_PER_TOKEN         at the reference budget of D tokens; lower is better
    quality = 2^-(bits per byte - BITS_PER_BYTE_REF)      1.0 is a dense model of 10^9 parameters; higher is better

N counts the parameters that one token uses, without embeddings and head: with embeddings the rank correlation to
measured perplexity falls from 0.97 to 0.74 (200 trained decoders) and from 0.97 to 0.26 (200 of another family), from
the raw data of arXiv 2203.02094. It is a prior, not a measurement: pairs whose N differ by less than 10 % it orders
right in 6 of 10 cases. Each correction has a sigma, as large as itself where the source is read off a figure or used
outside its range.

Figures marked (R), both from one plot, are quoted from memory of it; the others were read or measured.
"""

from dataclasses import dataclass
from math import log, log2, sqrt

# arXiv 2203.15556, "approach 3". The paper counts all parameters, we leave embeddings out (see above).
E, A, B, ALPHA, BETA = 1.69, 406.4, 410.7, 0.34, 0.28
REFERENCE_TOKENS = 1e12
REFERENCE_PARAMETERS = 1e9
# Mean of 5.12, 3.00, 3.63 and 3.93, measured with the 49,152 token vocabulary of a 135M decoder on speeches, a FAQ, a
# dictionary and technical documentation. It scales all qualities alike and so changes no order.
BYTES_PER_TOKEN = 3.92
# Residual of ln perplexity around such a law: 0.022-0.092 over 881 models in five spaces (arXiv 2203.02094); the upper
# end.
LAW_SIGMA = 0.09
# What a rank claim may lose when a mixer has no published correction (arXiv 2207.10551: families change places with
# scale).
UNKNOWN_MIXER_SIGMA = 0.10

FIDELITY = "prior"


@dataclass(frozen=True)
class AttentionLayer:
    """`group`: query heads for each KV head; `window`: visible tokens, None for all before."""

    group: float
    window: int | None


@dataclass(frozen=True)
class Traits:
    """What the prior looks at. Parameters without embeddings and head; `bits` are those of the stored numbers."""

    active_parameters: int
    n_layers: int
    d_model: int
    attention: tuple[AttentionLayer, ...]
    other_mixers: int  # layers whose mixer has no correction here
    mixing_parameters: int  # in attention and other mixers, one token's share
    feed_forward_parameters: int
    plain_feed_forward: float  # share of feed-forward layers without a gate
    weight_bits: float
    cache_bits: float
    context: int


@dataclass(frozen=True)
class Quality:
    """`corrections`: nats per token by name, with their sigmas in `sigmas`; `law` is the loss without them."""

    value: float
    sigma: float
    bits_per_byte: float
    bits_per_byte_sigma: float
    law: float
    corrections: dict[str, float]
    sigmas: dict[str, float]


def predict(traits: Traits) -> Quality:
    """The prior for one architecture in one precision. Errors: ValueError without parameters."""
    law = law_loss(traits.active_parameters)
    parts = {
        "depth_to_width": depth_to_width(traits, law),
        "mixing_share": mixing_share(traits, law),
        "plain_feed_forward": plain_feed_forward(traits),
        "kv_heads": kv_heads(traits),
        "window": window(traits),
        "weight_precision": weight_precision(traits),
        "cache_precision": cache_precision(traits),
    }
    unknown = UNKNOWN_MIXER_SIGMA * traits.other_mixers / max(traits.n_layers, 1)
    loss = law + sum(value for value, _ in parts.values())
    sigma = sqrt(LAW_SIGMA**2 + unknown**2 + sum(own**2 for _, own in parts.values()))
    bits, bits_sigma = loss / log(2) / BYTES_PER_TOKEN, sigma / log(2) / BYTES_PER_TOKEN
    value = 2.0 ** -(bits - BITS_PER_BYTE_REF)
    return Quality(
        value=value,
        sigma=value * log(2) * bits_sigma,  # first order
        bits_per_byte=bits,
        bits_per_byte_sigma=bits_sigma,
        law=law,
        corrections={name: correction for name, (correction, _) in parts.items()},
        sigmas={"law": LAW_SIGMA, "unknown_mixers": unknown, **{name: own for name, (_, own) in parts.items()}},
    )


def law_loss(active_parameters: float) -> float:
    """Nats per token after REFERENCE_TOKENS."""
    if active_parameters <= 0:
        raise ValueError("a model without parameters has no expected loss")
    return E + A / active_parameters**ALPHA + B / REFERENCE_TOKENS**BETA


BITS_PER_BYTE_REF = law_loss(REFERENCE_PARAMETERS) / log(2) / BYTES_PER_TOKEN

Correction = tuple[float, float]  # nats per token, sigma


def depth_to_width(traits: Traits, law: float) -> Correction:
    """Too flat or too thin for its size.

    arXiv 2001.08361, section 3.1: 6 layers of width 4288 come within 3 % of the loss of 48 of 1600 at equal size,
    with the best ratio near 100 (figure 5, R): 0.03 = c (ln(715/100)^2 - ln(33/100)^2) gives c = 0.0113 of the loss.
    Sigma: as large.
    """
    away = log(traits.d_model / max(traits.n_layers, 1) / 100)
    value = 0.0113 * law * away**2
    return value, value


def mixing_share(traits: Traits, law: float) -> Correction:
    """Parameters all in the feed-forward or all in the mixer.

    arXiv 2001.08361, figure 5 left (R): at equal size the loss stays within about 1 % for d_ff / d_model between 1
    and 16 around its best at 4, where the feed-forward holds twice what attention holds; 16 is a share of 8: 0.01 = c
    ln(8/2)^2. Sigma: as large.
    """
    if not traits.mixing_parameters or not traits.feed_forward_parameters:
        return 0.0, 0.05
    value = 0.0052 * law * log(traits.feed_forward_parameters / traits.mixing_parameters / 2) ** 2
    return value, value


def plain_feed_forward(traits: Traits) -> Correction:
    """No gate in the feed-forward.

    arXiv 2002.05202, table 1, equal parameters and computation: log-perplexity 1.677-1.683 plain against
    1.633-1.636 gated (by GELU and by Swish).
    """
    return 0.043 * traits.plain_feed_forward, 0.02 * traits.plain_feed_forward


def kv_heads(traits: Traits) -> Correction:
    """Query heads that share keys and values.

    arXiv 1911.02150, table 3, language model with the feed-forward widened to equal parameters: perplexity 29.9 with
    8 KV heads, 30.2 with one, so 0.0033 for each halving. Sigma: as large (arXiv 2305.13245 sees less loss for few
    halvings, more for many).
    """
    if not traits.attention:
        return 0.0, 0.0
    value = 0.0033 * sum(log2(max(layer.group, 1.0)) for layer in traits.attention) / len(traits.attention)
    return value, value


def window(traits: Traits) -> Correction:
    """Layers that do not see the whole context.

    Measured on a trained 135M decoder, all layers windowed, text of 1,024 tokens: ln perplexity +0.0149 at 256
    visible tokens, +0.1019 at 64, so 0.0149 (256 / window)^1.39, taken in proportion to the layers that have it.
    Post-hoc on a model trained without windows, so pessimistic for average text; it says nothing about recall over
    long distances, hence a sigma of at least 0.01 for each full share of windowed layers.
    """
    if not traits.attention:
        return 0.0, 0.0

    def cost(visible: int) -> float:
        return 0.0149 * (256 / visible) ** 1.39

    local = [layer.window for layer in traits.attention if layer.window is not None and layer.window < traits.context]
    value = sum(cost(visible) - cost(traits.context) for visible in local) / len(traits.attention)
    return value, max(value, 0.01 * len(local) / len(traits.attention))


def weight_precision(traits: Traits) -> Correction:
    """Weights in few bits, rounded after training.

    Published perplexities of quantised decoders (README of ggml's llama.cpp): 8 bits 5.9066 -> 5.9070, 4 bits
    5.9066 -> 6.1565 at 6.7B parameters and 5.2543 -> 5.3860 at 13B: the loss of 4 bits falls as N^-0.77. Between the
    points log-linear in bits. Sigma: half.
    """
    at_four = 0.0414 * (6.7e9 / traits.active_parameters) ** 0.77
    value = _by_bits(traits.weight_bits, at_eight=0.00007, at_four=min(at_four, 1.0))
    return value, value / 2


def cache_precision(traits: Traits) -> Correction:
    """Keys and values in few bits.

    Measured on a trained 135M decoder, one scale for each token and head: ln perplexity +0.00035 at 8 bits, +0.267 at
    4 bits. Between the points log-linear in bits. Sigma: half.
    """
    value = _by_bits(traits.cache_bits, at_eight=0.00035, at_four=0.267)
    return value, value / 2


def _by_bits(bits: float, *, at_eight: float, at_four: float) -> float:
    if bits > 8.5:
        return 0.0
    return at_four * (at_eight / at_four) ** ((max(bits, 2.0) - 4) / 4)
