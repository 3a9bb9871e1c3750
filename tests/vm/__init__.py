"""Modules loaded into real kernels, which run in virtual machines without KVM."""
