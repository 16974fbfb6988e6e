"""The one type model of the library, which is BTF's: what the parser makes and what declarations lower to.

Here live the kinds, reading them from bytes, their layout, comparing two of them, and printing them as C.
"""
