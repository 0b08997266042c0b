"""Data: batches from arrays, generators and loaders, and the bundled data sets."""
