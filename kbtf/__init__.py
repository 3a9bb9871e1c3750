"""Resilient split BTF for out-of-tree Linux kernel modules."""
