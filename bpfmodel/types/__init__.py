"""What users write in annotations, and how it becomes BTF and bytes.

Here live the value types, their lowering to `bpfmodel.btf`, and the codecs that pack and unpack values.
"""
