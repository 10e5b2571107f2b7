"""Translation of the engine's refusals, and of lost connections, into our errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from ...model import errors
from .inspect import short
from .transport.http import TIMEOUT_S, Refused, Transport

__tracebackhide__ = errors.hidden

_ABSENT = r"no such (container|image|volume|exec)|image not known"
_NO_IMAGE = (
    r"no such image|image not known|does not exist or no pull access|repository does not exist"
    "|was found but does not match the specified platform"
)
_PORT_TAKEN = "port is already allocated|address already in use|port.* not available"
# Docker 28 names the port of the container after that of the host.
_PORT = r"(?:listen(?: tcp\d?)?|Bind for|host port(?: for)?) (?:\[[^\]]*\]|[\d.]*):(\d+)"


@contextmanager
def answering(subject: str, url: str = "") -> Iterator[None]:
    """Translate what requests raise into our errors.

    Args:
        subject: What the requests are about.
        url: The address of the engine.
    """
    try:
        yield
    except Refused as refused:
        raise refusal(short(subject), refused.message) from refused
    except OSError as error:
        raise silence(f"the container engine at {url}" if url else subject, error) from error


def if_there(
    transport: Transport, method: str, target: str, *, timeout_s: float = TIMEOUT_S
) -> Any:
    """Send a request about an object and return the answer; None if there is no such object."""
    try:
        return transport.request(method, target, timeout_s=timeout_s)
    except Refused as refused:
        if not _is_absent(refused):
            raise
        return None


def is_without_image(refused: Refused) -> bool:
    """Whether the image that a request names does not exist."""
    return _is_absent(refused) and _says(refused, _NO_IMAGE)


def shell_refused(container: str, error: Exception) -> errors.LdbError:
    """Return our error for a shell that the engine refused to open."""
    container, evidence = short(container), str(error)
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
    """Return our error for an image that cannot be used.

    Args:
        reference: The image.
        fact: What was found.
        evidence: What the engine or the registry said.
        present: The images of that repository that the engine has.
    """
    here = f" The engine has {', '.join(present)}." if present else ""
    return errors.ImageUnavailable(
        reference,
        fact,
        evidence=evidence,
        remedy=f"Run `docker pull {reference}`, allow it with --ldb-pull=missing, "
        f"or name another image with --ldb-image.{here}",
    )


def refusal(subject: str, words: str) -> errors.LdbError:
    """Return our error for the message of an engine that refused a request."""
    if re.search("name .*is already in use", words):
        return errors.NameTaken(subject, "this container name is already in use", evidence=words)
    if "no space left on device" in words.lower():
        return errors.DiskFull(
            subject,
            "the engine's disk is full",
            evidence=words,
            remedy="`docker system df` shows what fills it, `docker system prune` frees some.",
        )
    if re.search(_PORT_TAKEN, words):
        return _port_taken(subject, words)
    if re.search("executable file not found|exec.* no such file", words):
        return errors.EngineFailed(
            subject,
            "its command cannot be run",
            evidence=words,
            remedy="The image does not contain it: check that it is one of this database type.",
        )
    return errors.EngineFailed(subject, "the container engine refused", evidence=words)


def _port_taken(subject: str, words: str) -> errors.PortTaken:
    found = re.search(_PORT, words) or re.search(r":(\d+)(?!.*:\d)", words)
    port = int(found[1]) if found else 0
    return errors.PortTaken(
        subject,
        f"port {port} is already in use" if port else "its port is already in use",
        evidence=words,
        remedy="Choose another port, or none, so that the engine chooses a free one.",
        port=port,
    )


def silence(subject: str, error: OSError) -> errors.LdbError:
    """Return our error for an engine that cannot be reached, or does not answer."""
    if isinstance(error, TimeoutError):
        return errors.EngineUnavailable(
            subject,
            "the container engine does not answer any more",
            evidence=str(error),
            remedy="Check whether `docker ps` answers; restart the engine if it does not.",
        )
    evidence = str(error)
    if "Permission denied" in evidence or isinstance(error, PermissionError):
        return errors.EngineForbidden(
            subject,
            "this user has no permission to use it",
            evidence=evidence,
            remedy="Add the user to the group that owns the socket (usually `docker`) and log in "
            "again, or point DOCKER_HOST at an engine of your own.",
        )
    return errors.EngineUnavailable(
        subject,
        "no container engine answers",
        evidence=evidence,
        remedy="Start Docker, or point DOCKER_HOST at an engine that runs. "
        "--ldb-no-engine=skip skips the tests that need one.",
    )


def _is_absent(refused: Refused) -> bool:
    # Podman sometimes answers 500 instead of 404.
    return refused.status == HTTPStatus.NOT_FOUND or _says(refused, _ABSENT)


def _says(refused: Refused, pattern: str) -> bool:
    return re.search(pattern, refused.message, re.IGNORECASE) is not None
