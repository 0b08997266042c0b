"""The training loop: batches, steps, epochs."""
