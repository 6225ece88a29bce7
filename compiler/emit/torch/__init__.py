"""PyTorch: a program becomes one readable file."""
