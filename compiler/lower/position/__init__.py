"""One module for each position term of attention: `lower(s, term, qk, home, at) -> (q, k, biases)`."""
