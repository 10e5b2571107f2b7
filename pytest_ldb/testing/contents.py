"""The tests that every database type must pass with random content; they need Hypothesis."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

from ..isolation.databases import Databases
from ..isolation.factory import DatabaseFactory
from ..model.database import Database

ROUNDS = 2
"""How often a copy is used in one example: what is reset must be as good as what is new."""


class ContentContract:
    """Tests that a copy is what was copied, and that a write is gone, whatever the content.

    Written beside the other contract, whose fixtures it uses::

        class TestMyDatabase(ContentContract, DatabaseTypeContract):
            database_type = MY_DATABASE
            contents = st.lists(st.builds(Insertion, …))
            changes = st.lists(st.builds(Insertion, …) | st.builds(Deletion, …))

            def write(self, database, written):
                ...  # connect with a common driver, do what a value of these strategies says

            def read(self, database):
                ...  # connect with a common driver, return all that a test can see

    Attributes:
        contents: What a setup writes.
        changes: What a test writes.
        examples: How many examples each test tries.
    """

    contents: ClassVar[SearchStrategy[Any]]
    changes: ClassVar[SearchStrategy[Any]]
    examples: ClassVar[int] = 4

    def write(self, database: Database, written: Any) -> None:
        """Connect with a common driver and write what was drawn; ignore what the server refuses."""
        raise NotImplementedError

    def read(self, database: Database) -> object:
        """Connect with a common driver and return everything that a test can see, except names."""
        raise NotImplementedError

    def test_copy_is_what_was_copied(self, databases: Databases) -> None:
        def check(content: Any) -> None:
            with self._template(databases, content) as (template, filled, name):
                copy = databases.create(name, template.database)
                assert self.read(copy) == filled
                databases.drop(copy)

        self._try(check, self.contents)

    def test_copies_do_not_share_what_is_written(self, databases: Databases) -> None:
        def check(content: Any, change: Any) -> None:
            with self._template(databases, content) as (template, filled, name):
                one, other = (
                    databases.create(f"{name}_{number}", template.database) for number in range(2)
                )
                self.write(one, change)
                later = databases.create(f"{name}_2", template.database)
                assert self.read(other) == self.read(later) == filled
                for copy in (one, other, later):
                    databases.drop(copy)

        self._try(check, self.contents, self.changes)

    def test_used_copy_is_as_good_as_new_or_dropped(self, databases: Databases) -> None:
        def check(content: Any, change: Any) -> None:
            with self._template(databases, content) as (template, filled, name):
                source = DatabaseFactory(databases, name, template.database)
                copy = source.make()
                for _ in range(ROUNDS):
                    self.write(copy, change)
                    if not source.put_back(copy):
                        copy = source.make()
                    assert self.read(copy) == filled
                databases.drop(copy)

        self._try(check, self.contents, self.changes)

    def test_restored_database_is_what_it_was(self, databases: Databases) -> None:
        def check(content: Any, change: Any) -> None:
            database = databases.create(_name())
            self.write(database, content)
            filled = self.read(database)
            snapshot = database.snapshot()
            assert self.read(database) == filled
            for _ in range(ROUNDS):
                self.write(database, change)
                database.restore(snapshot)
                assert self.read(database) == filled
            databases.drop(database)

        self._try(check, self.contents, self.changes)

    @contextmanager
    def _template(
        self, databases: Databases, content: Any
    ) -> Iterator[tuple[Database, object, str]]:
        """Yield a sealed template with this content, what was read of it, and a name for copies."""
        name = _name()
        template = databases.create_template(f"{name}_t")
        self.write(template, content)
        filled = self.read(template)
        databases.seal(template)
        yield template, filled, name
        databases.drop_template(template.database)

    def _try(self, check: Callable[..., None], *strategies: SearchStrategy[Any]) -> None:
        limits = settings(
            max_examples=self.examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # Making a failing example smaller takes minutes.
            suppress_health_check=list(HealthCheck),
        )
        limits(given(*strategies)(check))()


def _name() -> str:
    return f"ldb_{uuid.uuid4().hex[:12]}"
