"""Builders of BPF objects and BTF blobs, so that tests need no compiler and can break things on purpose."""
