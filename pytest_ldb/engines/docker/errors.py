"""What the engine refuses, and what the Docker SDK raises, in our words.

Told apart by what the errors carry, so that this file needs no SDK: an answer of the engine has a
`status_code` and an `explanation`, anything else means that there was no answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus

from ...model import errors
from .inspect import short


def translated(subject: str, error: Exception) -> errors.LdbError:
    """Return our error for one of the SDK's.

    Args:
        subject: What was being done something with.
        error: What was raised.
    """
    subject = short(subject)
    if getattr(error, "status_code", None) is not None:
        return _refusal(subject, error)
    from requests import ReadTimeout  # Its import is free here: the SDK raised the error.

    if isinstance(error, ReadTimeout):
        return errors.EngineUnavailable(
            subject,
            "the container engine does not answer any more",
            evidence=str(error),
            remedy="See whether `docker ps` answers; restart the engine if it does not.",
        )
    return _silence(subject, error)


def shell_refused(container: str, error: Exception) -> errors.LdbError:
    """Return our error for a command that the engine would not run in a container."""
    container, evidence = short(container), _words(error)
    if "executable file not found" in evidence:
        return errors.EngineFailed(
            container,
            "its image has no shell",
            evidence=evidence,
            remedy="pytest-ldb holds servers through `sh`: the image must have it.",
        )
    return errors.ShellLost(container, "no shell can be opened", evidence=evidence)


def image_unavailable(
    reference: str, fact: str, evidence: str, present: Sequence[str]
) -> errors.ImageUnavailable:
    """Return our error for an image that is not there.

    Args:
        reference: The image.
        fact: What was found.
        evidence: What the engine or the registry said.
        present: The images of that repository that are there.
    """
    here = f" The engine has {', '.join(present)}." if present else ""
    return errors.ImageUnavailable(
        reference,
        fact,
        evidence=evidence,
        remedy=f"Run `docker pull {reference}`, allow it with --ldb-pull=missing, "
        f"or name another image with --ldb-image.{here}",
    )


def _refusal(subject: str, error: Exception) -> errors.LdbError:
    words = _words(error)
    conflict = getattr(error, "status_code", None) == HTTPStatus.CONFLICT
    if conflict and "is already in use" in words:
        return errors.NameTaken(subject, "this container name is taken", evidence=words)
    if "no space left on device" in words.lower():
        return errors.DiskFull(
            subject,
            "the engine's disk is full",
            evidence=words,
            remedy="`docker system df` shows what fills it, `docker system prune` frees some.",
        )
    if re.search("port is already allocated|address already in use|port.* not available", words):
        return _port_taken(subject, words)
    if re.search("executable file not found|exec.* no such file", words):
        return errors.EngineFailed(
            subject,
            "its command cannot be run",
            evidence=words,
            remedy="The image does not have it: see that it is one for this type of database.",
        )
    return errors.EngineFailed(subject, "the container engine refused", evidence=words)


def _port_taken(subject: str, words: str) -> errors.PortTaken:
    ports = re.findall(r":(\d+)", words)
    port = int(ports[-1]) if ports else 0
    return errors.PortTaken(
        subject,
        f"somebody listens already on port {port}" if port else "its port is taken",
        evidence=words,
        remedy="Choose another port, or none: then the engine chooses a free one.",
        port=port,
    )


def _silence(subject: str, error: Exception) -> errors.LdbError:
    evidence = str(error)
    if "Permission denied" in evidence or isinstance(error, PermissionError):
        return errors.EngineForbidden(
            subject,
            "this user may not talk to it",
            evidence=evidence,
            remedy="Add the user to the group that owns the socket (usually `docker`) and log in "
            "again, or point DOCKER_HOST at an engine of your own.",
        )
    missing = ", and install pytest-ldb[ssh]" if "paramiko" in evidence else ""
    return errors.EngineUnavailable(
        subject,
        "no container engine answers",
        evidence=evidence,
        remedy=f"Start Docker, or point DOCKER_HOST at an engine that runs{missing}. "
        "--ldb-no-engine=skip skips the tests that need one.",
    )


def _words(error: Exception) -> str:
    return str(getattr(error, "explanation", None) or error)
