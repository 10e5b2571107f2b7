"""`python -m pytest_ldb`, the same as the command `pytest-ldb`."""

from .console import main

main()
