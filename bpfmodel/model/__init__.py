"""The declarative layer: from a class body to fields, from fields and a spec to findings, from an object to handles."""
