"""The contracts of `pytest_ldb.testing`, for what pytest-ldb itself brings along."""
