"""Metrics: what is reported while training, gathered batch by batch."""
