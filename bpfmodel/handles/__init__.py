"""What a loaded field is: the typed handles that users hold, and the typed keys that stand for them on the class.

Here live variables, programs, links and the kinds of maps. They pack and unpack values; engines do the rest.
"""
