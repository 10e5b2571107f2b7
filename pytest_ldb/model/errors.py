"""Every error that pytest-ldb raises on purpose.

LdbError
├── InvalidRequest          a wrong value, or an unknown name
├── EngineUnavailable       no container engine answers
│   ├── EngineForbidden     this user has no permission to use the engine
│   └── ContextUnknown      the current Docker context does not exist, or names no engine
├── ImageUnavailable        the image is absent and could not be pulled
├── NameTaken               the engine has a container of this name already
├── ForeignContainer        ... and it is not ours
├── InstanceNotFound        no server of ours has that name
├── NotRunning              a server that is needed is not running
├── AmbiguousName           several servers match a shortened name
├── VolumeUnusable          a volume cannot hold the data of a server
├── InUse                   other processes use what was to be stopped or deleted
├── StartFailed             a server was started and never became usable
│   ├── InstanceDied        it ended by itself
│   │   ├── OutOfMemory     because its memory ran out
│   │   └── DiskFull        because its disk ran out
│   ├── PortTaken           the port that was asked for is already in use
│   └── NotReady            it did not answer in time
├── SetupFailed             filling a template failed in another process
├── CommandFailed           a command beside the server failed
├── ShellLost               the connection to the shell was lost
└── EngineFailed            the engine reported any other error

An error has four parts: its subject, the fact, the evidence and the remedy.
"""

from __future__ import annotations

from traceback import walk_tb


class LdbError(Exception):
    """The base of all errors of pytest-ldb.

    Args:
        subject: Who or what failed, as the user calls it ("postgres", "--ldb-timeout").
        fact: What happened, one sentence without a full stop.
        evidence: Output of the server or the engine, shown indented; empty if there is none.
        remedy: What to do about it, in full sentences; empty if that is not known.
        status: The exit status of the program that failed; None if none did, or it is not known.
    """

    def __init__(
        self,
        subject: str,
        fact: str,
        *,
        evidence: str = "",
        remedy: str = "",
        status: int | None = None,
    ) -> None:
        super().__init__(subject, fact)
        self.subject = subject
        self.fact = fact
        self.evidence = evidence
        self.remedy = remedy
        self.status = status

    def __str__(self) -> str:
        lines = [f"{self.subject}: {self.fact}."]
        lines += [f"    {line}" for line in self.evidence.splitlines()]
        if self.remedy:
            lines.append(self.remedy)
        return "\n".join(lines)


def hidden(excinfo: object) -> bool:
    """Whether pytest leaves our frames out of a traceback (pytest: ``__tracebackhide__``).

    It does for errors raised on purpose, and for those that come from the user's own code.
    Modules whose frames would be shown set ``__tracebackhide__ = hidden``.
    """
    error = getattr(excinfo, "value", None)
    frames = [frame for frame, _ in walk_tb(getattr(error, "__traceback__", None))]
    module = frames[-1].f_globals.get("__name__", "") if frames else ""
    return isinstance(error, LdbError) or not module.startswith("pytest_ldb.")


class InvalidRequest(LdbError):
    """Raised when the user gave a wrong value or an unknown name."""


class EngineUnavailable(LdbError):
    """Raised when no container engine answers."""


class EngineForbidden(EngineUnavailable):
    """Raised when this user has no permission to use the engine."""


class ContextUnknown(EngineUnavailable):
    """Raised when the current Docker context does not exist, or names no engine.

    This is a mistake in a setting, so ``--ldb-no-engine=skip`` does not skip the tests.
    """


class ImageUnavailable(LdbError):
    """Raised when an image is not on the engine and could not, or must not, be pulled."""


class NameTaken(LdbError):
    """Raised when a container of this name exists already."""


class ForeignContainer(LdbError):
    """Raised when a container that pytest-ldb did not create has the name that we need."""


class InstanceNotFound(LdbError):
    """Raised when no server of ours has the name or the id asked for."""


class NotRunning(LdbError):
    """Raised when a server that is not running is asked for its address."""


class AmbiguousName(LdbError):
    """Raised when several servers match a shortened name."""


class VolumeUnusable(LdbError):
    """Raised when a volume cannot hold the data of a server: it is not ours, or of another type."""


class InUse(LdbError):
    """Raised when other processes use what was to be stopped or deleted."""


class StartFailed(LdbError):
    """Raised when a server was started and never became usable."""


class InstanceDied(StartFailed):
    """Raised when a server ended by itself; the evidence is the end of its log.

    Attributes:
        status: Its exit status; None if it is not known.
    """


class OutOfMemory(InstanceDied):
    """Raised when a server ended because its memory ran out."""


class DiskFull(InstanceDied):
    """Raised when a server ended because its disk, or its share of memory for data, was full."""


class PortTaken(StartFailed):
    """Raised when the port that a server was to be published on is already in use.

    Attributes:
        port: That port; 0 if the engine did not say.
    """

    def __init__(
        self, subject: str, fact: str, *, evidence: str = "", remedy: str = "", port: int = 0
    ) -> None:
        super().__init__(subject, fact, evidence=evidence, remedy=remedy)
        self.port = port


class NotReady(StartFailed):
    """Raised when a server did not answer before the deadline."""


class SetupFailed(LdbError):
    """Raised when the setup of a database failed in another process of the run."""


class CommandFailed(LdbError):
    """Raised when a command beside a server failed.

    Attributes:
        status: Its exit status; None if it did not end in time.
    """


class ShellLost(LdbError):
    """Raised when the connection to a shell was lost."""


class EngineFailed(LdbError):
    """Raised when the engine reported an error that no other class stands for."""
