"""Data sets that travel with the package; nothing is downloaded."""
