"""Everything that learns: tensors, operators, gradients, losses, metrics, optimizers, data, callbacks and the training loop."""
