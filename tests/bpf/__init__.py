"""BPF objects and kfunc sets."""
