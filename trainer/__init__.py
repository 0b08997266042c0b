"""Everything that learns: tensors, operators, gradients, losses, metrics, optimizers, data and the training loop."""
