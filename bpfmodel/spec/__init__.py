"""What an object file says, as plain data, with no kernel and no privilege involved.

Here live the ELF container, the reader that makes a `CollectionSpec` of it, and the specs themselves.
"""
