"""The mask algebra: one expression gives the dense mask, the visible pairs, the cache window and causality."""
