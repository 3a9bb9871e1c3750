"""Whether the BTF of modules will load on kernels, and why not."""
