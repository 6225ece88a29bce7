"""The prior against the sources it cites and against common sense."""

from dataclasses import replace
from math import exp, log

import pytest

from search.quality import (
    AttentionLayer,
    Traits,
    cache_precision,
    depth_to_width,
    kv_heads,
    law_loss,
    mixing_share,
    predict,
    weight_precision,
    window,
)

# About 10^9 parameters in a good shape: feed-forward twice the mixer, 100 units of width for each layer.
PLAIN = Traits(
    active_parameters=10**9,
    n_layers=20,
    d_model=2000,
    attention=(AttentionLayer(1, None),) * 20,
    other_mixers=0,
    mixing_parameters=10**9 // 3,
    feed_forward_parameters=2 * 10**9 // 3,
    plain_feed_forward=0,
    weight_bits=16,
    cache_bits=16,
    context=4096,
)


def layers(group: float, window: int | None, n: int = 20) -> tuple[AttentionLayer, ...]:
    return (AttentionLayer(group, window),) * n


def test_the_reference_has_quality_one() -> None:
    found = predict(PLAIN)
    assert found.value == pytest.approx(1.0, abs=1e-6)
    assert found.sigma == pytest.approx(0.09 / 3.92, rel=1e-6)
    assert all(value == pytest.approx(0, abs=1e-9) for value in found.corrections.values())


def test_the_law_is_chinchilla() -> None:
    assert law_loss(7e10) == pytest.approx(1.69 + 406.4 / 7e10**0.34 + 410.7 / 1e12**0.28)


@pytest.mark.parametrize("factor", [1.1, 2, 10])
def test_more_parameters_are_better(factor: float) -> None:
    assert predict(replace(PLAIN, active_parameters=int(factor * 10**9))).value > predict(PLAIN).value


def test_six_wide_layers_lose_three_percent_to_48() -> None:
    """arXiv 2001.08361, section 3.1."""
    law = 2.5
    flat, _ = depth_to_width(replace(PLAIN, n_layers=6, d_model=4288), law)
    deep, _ = depth_to_width(replace(PLAIN, n_layers=48, d_model=1600), law)
    assert (flat - deep) / law == pytest.approx(0.03, abs=0.001)


def test_a_share_of_eight_costs_one_percent() -> None:
    value, sigma = mixing_share(replace(PLAIN, mixing_parameters=1, feed_forward_parameters=8), 2.5)
    assert value / 2.5 == pytest.approx(0.01, abs=0.0005) and sigma == value


def test_one_kv_head_for_eight_is_the_published_step() -> None:
    value, _ = kv_heads(replace(PLAIN, attention=layers(8, None)))
    assert 29.9 * exp(value) == pytest.approx(30.2, abs=0.02)


@pytest.mark.parametrize(("visible", "perplexity"), [(256, 28.87), (64, 31.49)])
def test_windows_cost_what_was_measured(visible: int, perplexity: float) -> None:
    value, sigma = window(replace(PLAIN, context=2**40, attention=layers(1, visible)))
    assert 28.44 * exp(value) == pytest.approx(perplexity, rel=0.001)
    assert sigma >= 0.01


def test_a_window_as_long_as_the_context_costs_nothing() -> None:
    assert window(replace(PLAIN, attention=layers(1, 4096))) == (0, 0)


def test_windows_cost_by_their_share() -> None:
    some = window(replace(PLAIN, attention=layers(1, 256, 5) + layers(1, None, 15)))[0]
    every = window(replace(PLAIN, attention=layers(1, 256)))[0]
    assert some == pytest.approx(every / 4)


@pytest.mark.parametrize(("size", "before", "after"), [(6.7e9, 5.9066, 6.1565), (13e9, 5.2543, 5.3860)])
def test_four_bit_weights_cost_what_was_published(size: float, before: float, after: float) -> None:
    value, _ = weight_precision(replace(PLAIN, active_parameters=int(size), weight_bits=4))
    assert value == pytest.approx(log(after / before), rel=0.03)


def test_precision_never_helps() -> None:
    losses = [weight_precision(replace(PLAIN, weight_bits=bits))[0] for bits in (16, 8, 6, 5, 4, 3, 2)]
    assert losses == sorted(losses) and losses[0] == 0
    losses = [cache_precision(replace(PLAIN, cache_bits=bits))[0] for bits in (16, 8, 5, 4)]
    assert losses == pytest.approx([0, 0.00035, losses[2], 0.267]) and losses == sorted(losses)


def test_what_has_no_source_widens_sigma() -> None:
    unknown = predict(replace(PLAIN, attention=(), other_mixers=20))
    assert unknown.sigma > predict(PLAIN).sigma and unknown.value == pytest.approx(predict(PLAIN).value)


def test_nothing_is_expected_of_no_parameters() -> None:
    with pytest.raises(ValueError, match="without parameters"):
        predict(replace(PLAIN, active_parameters=0))
