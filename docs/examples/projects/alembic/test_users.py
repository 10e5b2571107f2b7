from models import User
from sqlalchemy import delete, select


def names(session):
    return set(session.scalars(select(User.name)))


def test_all_users_can_be_deleted(session):
    session.execute(delete(User))
    session.commit()

    assert names(session) == set()


def test_the_admin_of_the_migration_is_there(session):
    assert names(session) == {"admin"}


def test_a_user_is_stored(session):
    session.add(User(name="ada"))
    session.commit()

    assert names(session) == {"admin", "ada"}
