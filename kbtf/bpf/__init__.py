"""BPF from both sides: the kfunc sets of modules, and what BPF objects call."""
