"""What the Docker SDK raises, in our words."""

from __future__ import annotations

import pytest
from requests import ConnectionError as NoConnection
from requests import ReadTimeout

from pytest_ldb.engines.docker.errors import shell_refused, translated
from pytest_ldb.engines.docker.transport.http import Refused
from pytest_ldb.model import errors

NO_COMMAND = (errors.EngineFailed, ["its command cannot be run", "type of database"])
IN_USE = 'Conflict. The container name "/ldb-x" is already in use by container "1234"'


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (Refused(409, IN_USE), errors.NameTaken, ["already in use"]),
        (Refused(409, "removal is in progress"), errors.EngineFailed, ["in progress"]),
        (Refused(500, "write /x: no space left on device"), errors.DiskFull, ["docker system df"]),
        (Refused(404, 'exec: "x": executable file not found in $PATH'), *NO_COMMAND),
        (Refused(400, 'exec: "/x": stat /x: no such file or directory'), *NO_COMMAND),
        (Refused(404, "No such image: x"), errors.EngineFailed, ["No such image: x"]),
        (ReadTimeout("60 s"), errors.EngineUnavailable, ["does not answer any more", "60 s"]),
        (NoConnection("refused"), errors.EngineUnavailable, ["Start Docker", "refused"]),
        (FileNotFoundError("docker.sock"), errors.EngineUnavailable, ["--ldb-no-engine=skip"]),
        (PermissionError("docker.sock"), errors.EngineForbidden, ["group that owns the socket"]),
        (NoConnection("PermissionError(13, 'Permission denied')"), errors.EngineForbidden, []),
        (ValueError("No module named 'paramiko'"), errors.EngineUnavailable, ["pytest-ldb[ssh]"]),
    ],
)
def test_every_error_becomes_one_of_ours(
    error: Exception, kind: type[Exception], said: list[str]
) -> None:
    ours = translated("redis:8", error)
    assert type(ours) is kind
    assert str(ours).startswith("redis:8: ")
    assert all(words in str(ours) for words in said)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ('exec: "sh": executable file not found in $PATH', errors.EngineFailed),
        ("container 1234 is not running", errors.ShellLost),
        ("Container 1234 is paused, unpause the container before exec", errors.ShellLost),
    ],
)
def test_an_image_without_a_shell_is_not_a_container_that_ends(
    words: str, kind: type[Exception]
) -> None:
    assert type(shell_refused("ldb-x", Refused(400, words))) is kind
