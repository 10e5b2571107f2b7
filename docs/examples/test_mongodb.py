"""MongoDB, with PyMongo."""

import pymongo
import pytest


@pytest.fixture
def users(ldb_mongodb):
    with pymongo.MongoClient(ldb_mongodb.url) as client:
        users = client.get_default_database()["users"]
        yield users
        users.drop()


def test_documents_come_back(users):
    users.insert_one({"name": "ada"})

    assert [user["name"] for user in users.find()] == ["ada"]


def test_each_test_begins_with_an_empty_collection(users):
    assert users.count_documents({}) == 0
