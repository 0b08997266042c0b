"""Known architectures, ready to build."""
