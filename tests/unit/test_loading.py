"""Files of setups: directories, compressed ones, and those that go to another database."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_ldb.databases import MONGODB, MYSQL, POSTGRES, REDIS
from pytest_ldb.isolation.loading import check_stays, decompressed, files_in
from pytest_ldb.model.database_type import DatabaseType
from pytest_ldb.model.errors import InvalidRequest

LEAVES = [
    (POSTGRES, "CREATE DATABASE shop;\n\\connect shop\nCREATE TABLE goods ();\n", 2),
    (POSTGRES, "\\c shop\n", 1),
    (POSTGRES, "\n\\connect -reuse-previous=on \"dbname='it''s'\"\n", 2),
    (MYSQL, "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `shop`;\nUSE `shop`;\n", 2),
    (MYSQL, "-- a dump\r\nuse shop\r\nCREATE TABLE goods (n int);\r\n", 2),
    (MYSQL, "CREATE DATABASE shop; USE shop; CREATE TABLE goods (n int);", 1),
    (MONGODB, "// shop\ndb = db.getSiblingDB('shop');\ndb.goods.insertOne({});\n", 2),
    (MONGODB, "use shop\ndb.goods.insertOne({})\n", 1),
    (MONGODB, "db = connect('localhost/shop')\n", 1),
    (REDIS, "SET a 1\nSELECT 3\nSET b 2\n", 2),
    (REDIS, "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n", 5),
]
STAYS = [
    (
        POSTGRES,
        "-- \\connect shop\n\\connect - admin\n\\copy t from 'f'\nCOPY t FROM stdin;\n\\N\n",
    ),
    (POSTGRES, "CREATE TABLE c (n int); -- USE shop;\n"),
    (
        MYSQL,
        "-- then; use shop;\n# use shop\nCREATE TABLE t (`use` int);\nALTER TABLE t USE INDEX;",
    ),
    (MYSQL, "INSERT INTO t VALUES ('they use words; others use\\nshop');"),
    (
        MONGODB,
        "if (db == null) {}\ndb.goods.insertOne({db: 1});\nconst admin = db.getSiblingDB('a');",
    ),
    (REDIS, "SET SELECT 1\n"),
]


@pytest.mark.parametrize(("database_type", "text", "line"), LEAVES, ids=range(len(LEAVES)))
def test_file_that_goes_to_another_database_is_refused(
    database_type: DatabaseType, text: str, line: int
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_stays(Path("shop.sql"), text, database_type.operations.leaves)
    assert caught.value.subject == "shop.sql"
    assert caught.value.fact.startswith(f"line {line} goes to another database")
    assert caught.value.evidence


@pytest.mark.parametrize(("database_type", "text"), STAYS, ids=range(len(STAYS)))
def test_other_statements_are_allowed(database_type: DatabaseType, text: str) -> None:
    check_stays(Path("shop.sql"), text, database_type.operations.leaves)


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files_are_read(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    (tmp_path / "file").write_bytes(compress(b"CREATE TABLE goods"))
    assert decompressed(tmp_path / "file") == b"CREATE TABLE goods"


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("damage", [slice(0, -9), slice(0, 12)], ids=str)
def test_damaged_file_is_an_error(
    tmp_path: Path, compress: Callable[[bytes], bytes], damage: slice
) -> None:
    (tmp_path / "file").write_bytes(compress(b"CREATE TABLE goods" * 9)[damage])
    with pytest.raises(InvalidRequest, match="it cannot be decompressed"):
        decompressed(tmp_path / "file")


def test_unknown_compression_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\x28\xb5\x2f\xfd...")
    with pytest.raises(InvalidRequest, match="it is compressed with zstd"):
        decompressed(tmp_path / "file")


def test_directories_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    for name in ("b.sql", "a/2.sql", "a/1.sql", ".hidden", ".git/config"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in files_in([tmp_path / "b.sql", tmp_path])]
    assert found == ["b.sql", "a/1.sql", "a/2.sql", "b.sql"]


def test_empty_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="this directory of a setup has no files"):
        list(files_in([tmp_path]))
