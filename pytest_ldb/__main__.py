"""`python -m pytest_ldb`, the same as the command `pytest-ldb`."""

from .cli import main

main()
