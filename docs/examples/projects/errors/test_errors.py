import pytest

from pytest_ldb import LdbError


def test_an_unknown_type(ldb):
    with pytest.raises(LdbError, match="no database type has this name"):
        ldb.create("oracle")


def test_an_unknown_server(ldb):
    with pytest.raises(LdbError, match="no server of this name"):
        ldb.stop("unknown")
