"""The contracts of `pytest_ldb.testing`, applied to the built-in types and engines."""
