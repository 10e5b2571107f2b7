import pytest
from django.db import transaction
from users.models import User


def names():
    return set(User.objects.values_list("name", flat=True))


def test_all_users_can_be_deleted(fresh_db):
    User.objects.all().delete()

    assert names() == set()


def test_the_admin_of_the_migration_is_there(fresh_db):
    assert names() == {"admin"}


def test_a_commit_is_a_commit(fresh_db):
    greeted = []
    with transaction.atomic():
        User.objects.create(name="ada")
        transaction.on_commit(lambda: greeted.append("ada"))

    assert greeted == ["ada"]


@pytest.mark.django_db
def test_a_name_is_stored():
    User.objects.create(name="ada")

    assert names() == {"admin", "ada"}


@pytest.mark.django_db
def test_it_was_rolled_back():
    assert names() == {"admin"}
