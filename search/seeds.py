"""Every random choice comes from the seed of the search and the number of the trial: a resumed run repeats it."""

import hashlib

import numpy as np


def trial_seed(seed: int, number: int, purpose: str = "") -> int:
    """32 bits that depend on the search's seed, the trial's number and what they are for."""
    digest = hashlib.sha256(f"{seed}/{number}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def generator(seed: int, number: int, purpose: str) -> np.random.RandomState:
    """A generator whose stream NumPy promises never to change (NEP 19), which it does not for `default_rng`."""
    return np.random.RandomState(trial_seed(seed, number, purpose))
