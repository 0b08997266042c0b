"""Programs as users write them, in plain Python: branches, loops and values of tensors, to be converted or refused."""
