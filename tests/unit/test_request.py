"""The request for a server: name, fingerprint, arguments."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_ldb.databases import BUILTIN, MONGODB, MYSQL, POSTGRES, REDIS
from pytest_ldb.model.database_type import Addresses, DatabaseType, Operations
from pytest_ldb.model.errors import InvalidRequest
from pytest_ldb.model.request import CreateInstanceRequest, Scope

USER = "0123456789abcdef"
SCOPE = Scope(project="shop-12345678", run="cafe0123")


def request(database_type: DatabaseType = POSTGRES, **changes: Any) -> CreateInstanceRequest:
    values: dict[str, Any] = {
        "image": database_type.image,
        "image_id": "sha256:one",
        "scope": SCOPE,
    }
    return CreateInstanceRequest(database_type=database_type, **{**values, **changes})


def test_run_server_names_contain_project_and_run_id() -> None:
    one = request()
    assert (one.family, one.name) == ("shop-12345678-postgres", "shop-12345678-postgres-cafe0123")
    assert one.container == "ldb-shop-12345678-postgres-cafe0123"


def test_kept_server_name_contains_the_fingerprint() -> None:
    one = request(kept=True)
    assert one.name == f"shop-12345678-postgres-{one.fingerprint[:8]}"
    assert one.name == request(kept=True, scope=replace(SCOPE, run="another")).name


def test_suffix_distinguishes_servers_of_a_run() -> None:
    assert request(suffix="abc").name == "shop-12345678-postgres-cafe0123-abc"


@pytest.mark.parametrize(
    ("directory", "slug"),
    [
        ("/src/Shop", "shop"),
        ("/src/my shop_2.0", "my-shop-2-0"),
        ("/src/--x--", "x"),
        ("/src/Käse", "k-se"),
        ("/src/店", "project"),
        ("/src/a-very-long-name-of-a-project", "a-very-long-name-of-a-pr"),
        ("/src/abcdefghijklmnopqrstuvw-xyz", "abcdefghijklmnopqrstuvw"),
        ("/", "project"),
    ],
)
def test_project_is_named_after_its_directory(directory: str, slug: str) -> None:
    scope = Scope.of(Path(directory), "cafe0123", USER)
    assert re.fullmatch(re.escape(slug) + "-[0-9a-f]{8}", scope.project)
    assert scope.run == "cafe0123"


def test_checkouts_are_separate_projects() -> None:
    one, other = (Scope.of(Path(root), "", USER) for root in ("/a/shop", "/b/shop"))
    assert one.project != other.project


def test_users_have_separate_projects() -> None:
    one, other = (Scope.of(Path("/a/shop"), "", user) for user in (USER, "f" * 16))
    assert one.project != other.project


def test_symlinked_checkout_is_the_same_project(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "shop").symlink_to(tmp_path / "shop")
    direct, linked = tmp_path / "shop", tmp_path / "link" / "shop"
    assert Scope.of(direct, "", USER) == Scope.of(linked, "", USER)


@given(st.text())
def test_directory_name_is_made_valid_for_engines(name: str) -> None:
    scope = Scope.of(Path("/src") / name.replace("\0", ""), "cafe0123", USER)
    assert re.fullmatch(r"ldb-[a-z0-9][a-z0-9-]{0,80}", request(scope=scope).container)


@pytest.mark.parametrize(
    "change",
    [
        {"image": "postgres:17"},
        {"image_id": "sha256:other"},
        {"durable": True},
        {"shared": False},
        {"bind": "0.0.0.0"},
    ],
    ids=str,
)
def test_every_request_option_changes_the_fingerprint(change: dict[str, Any]) -> None:
    assert request(**change).fingerprint != request().fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"port": 1},
        {"command": ("--more",)},
        {"environment": {"MORE": "1"}},
        {"init_scripts": ()},
        {"data_mib": 1},
        {"memory_mib": 1},
        {"shm_mib": 1},
        {"server": replace(POSTGRES.server, user="other")},
        {"server": replace(POSTGRES.server, initial_database="other")},
        {"server": replace(POSTGRES.server, program="other")},
        {"server": replace(POSTGRES.server, tuning=())},
        {"server": replace(POSTGRES.server, arguments=("--more",))},
        {"server": replace(POSTGRES.server, credential_environment={})},
        {"server": replace(POSTGRES.server, init_directory="/elsewhere")},
    ],
)
def test_every_server_field_changes_the_fingerprint(change: dict[str, Any], tmp_path: Path) -> None:
    script = tmp_path / "fill.sql"
    script.write_text("CREATE TABLE t ()")
    database_type = replace(POSTGRES, init_scripts=(script,))
    assert (
        request(replace(database_type, **change)).fingerprint != request(database_type).fingerprint
    )


@pytest.mark.parametrize(
    "change",
    [
        {"scope": Scope(project="other", run="other")},
        {"kept": True},
        {"suffix": "x"},
        {"database_type": replace(POSTGRES, aliases=())},
        {"database_type": replace(POSTGRES, addresses=Addresses(url="other://"))},
        {"database_type": replace(POSTGRES, operations=Operations())},
    ],
    ids=["scope", "kept", "suffix", "aliases", "addresses", "operations"],
)
def test_other_fields_do_not_change_the_fingerprint(change: dict[str, Any]) -> None:
    values = {"database_type": POSTGRES, "image": POSTGRES.image, "image_id": "sha256:one"}
    changed = CreateInstanceRequest(**{**values, "scope": SCOPE, **change})
    assert changed.fingerprint == request().fingerprint


def test_init_script_content_changes_the_fingerprint(tmp_path: Path) -> None:
    script = tmp_path / "fill.sql"
    database_type = replace(POSTGRES, init_scripts=(script,))
    script.write_text("CREATE TABLE a ()")
    before = request(database_type).fingerprint
    script.write_text("CREATE TABLE b ()")
    assert request(database_type).fingerprint != before


decisions = st.fixed_dictionaries(
    {
        "image": st.sampled_from(["a:1", "a:2"]),
        "image_id": st.sampled_from(["sha256:1", "sha256:2"]),
        "durable": st.booleans(),
        "shared": st.booleans(),
        "bind": st.sampled_from(["127.0.0.1", ""]),
    }
)
database_types = st.builds(
    replace,
    st.sampled_from(BUILTIN),
    command=st.sampled_from([(), ("--a",), ("--a", "--b")]),
    environment=st.dictionaries(st.sampled_from("AB"), st.text(max_size=1), max_size=2),
)


@given(database_types, database_types, decisions, decisions)
def test_equal_facts_have_equal_fingerprints(
    one: DatabaseType, other: DatabaseType, decided: dict[str, Any], differently: dict[str, Any]
) -> None:
    first, second = request(one, **decided), request(other, **differently)
    assert (first.facts == second.facts) == (first.fingerprint == second.fingerprint)
    assert bool(first.difference(second.facts)) == (first.facts != second.facts)


def test_facts_round_trip_through_a_label() -> None:
    one = request(REDIS)
    assert json.loads(json.dumps(one.facts)) == one.facts


def test_difference_shows_old_and_new_value() -> None:
    before = request(image="postgres:17", image_id="sha256:" + "a" * 64).facts
    assert request(image_id="sha256:" + "b" * 64).difference(before) == (
        "image was postgres:17, is postgres:18; image id was aaaaaaaaaaaa, is bbbbbbbbbbbb"
    )
    assert request().difference(request().facts) == ""


def test_facts_unknown_to_an_older_version_are_a_difference() -> None:
    facts = request().facts
    del facts["bind"]
    assert request().difference(facts) == "bind was None, is 127.0.0.1"


@pytest.mark.parametrize(
    ("command", "durable", "arguments"),
    [
        ((), False, ("mongod", "--always", "--fast")),
        ((), True, ("mongod", "--always")),
        (("--mine",), False, ("mongod", "--always", "--fast", "--mine")),
        (("mongod", "--mine"), False, ("mongod", "--always", "--fast", "--mine")),
        (("custom-mongod",), True, ("custom-mongod", "--always")),
    ],
)
def test_arguments_follow_the_program_with_user_arguments_last(
    command: tuple[str, ...], durable: bool, arguments: tuple[str, ...]
) -> None:
    server = replace(MONGODB.server, tuning=("--fast",), arguments=("--always",))
    database_type = replace(MONGODB, command=command, server=server)
    assert request(database_type, durable=durable).arguments == arguments


@pytest.mark.parametrize(
    ("declared", "command", "arguments"),
    [
        (("mongod",), (), ("mongod", "--always")),
        (("mongod", "--theirs"), (), ("mongod", "--theirs", "--always")),
        (("mongod", "--theirs"), ("--user",), ("mongod", "--theirs", "--always", "--user")),
        (("mongod", "--theirs"), ("mongos", "-x"), ("mongos", "--always", "-x")),
        (("sh", "-c", "exec mongod"), (), ("mongod", "--always")),
        ((), ("--user",), ("mongod", "--always", "--user")),
    ],
)
def test_arguments_of_the_image_come_before_ours(
    declared: tuple[str, ...], command: tuple[str, ...], arguments: tuple[str, ...]
) -> None:
    server = replace(MONGODB.server, tuning=(), arguments=("--always",))
    database_type = replace(MONGODB, command=command, server=server)
    assert request(database_type, image_command=declared).arguments == arguments


def test_script_that_becomes_executable_changes_the_fingerprint(tmp_path: Path) -> None:
    script = tmp_path / "fill.sh"
    script.write_text("")
    script.chmod(0o644)
    before = request(replace(POSTGRES, init_scripts=(script,))).fingerprint
    script.chmod(0o755)
    assert request(replace(POSTGRES, init_scripts=(script,))).fingerprint != before


@pytest.mark.parametrize("command", [(), ("--mine",), ("mysqld", "--mine")])
def test_command_without_extra_arguments_is_unchanged(
    command: tuple[str, ...],
) -> None:
    database_type = replace(MYSQL, command=command, server=replace(MYSQL.server, tuning=()))
    assert request(database_type).arguments == command


@pytest.mark.parametrize(
    ("shared", "durable", "in_memory"),
    [(True, False, True), (True, True, False), (False, False, False), (False, True, False)],
)
def test_data_is_in_memory_unless_durable(shared: bool, durable: bool, in_memory: bool) -> None:
    assert request(shared=shared, durable=durable).in_memory is in_memory


def test_unreadable_init_script_is_an_error(tmp_path: Path) -> None:
    missing = tmp_path / "missing.sql"
    with pytest.raises(InvalidRequest, match="this init script cannot be read") as caught:
        _ = request(replace(POSTGRES, init_scripts=(missing,))).fingerprint
    assert caught.value.subject == str(missing)
    assert "No such file" in caught.value.evidence
