"""Which of the machine's settings a download used, according to its client.

A download runs its client with the settings that the client finds by itself, in files or
variables. If it fails, the message shows these settings.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from steps import Failure, run

TOX = Path(__file__).parents[2] / "tox.ini"
OWN_VARIABLES = "LDB_*"


@dataclass(frozen=True, kw_only=True)
class Client:
    """A program that downloads; `settings` returns its settings, as lines."""

    name: str
    settings: Callable[[Path | None], str]


def download(
    client: Client,
    *command: str,
    cwd: Path | None = None,
    timeout_s: float | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a command that downloads; if it fails, the message says which settings it used."""
    try:
        return run(*command, cwd=cwd, timeout_s=timeout_s, env=env)
    except Failure as failure:
        raise Failure(masked(f"{failure}\n{_told(client, cwd)}")) from None


def masked(text: str) -> str:
    """The text without the names and passwords of users in addresses."""
    return re.sub(r"(?<=://)[^\s/@]+@", "***@", text)


def variables_set() -> list[str]:
    """The names of the variables that are set and from which clients read settings."""
    patterns = [pattern for pattern in _passed_by_tox() if pattern != OWN_VARIABLES]
    return sorted(
        name for name in os.environ if any(fnmatchcase(name, pattern) for pattern in patterns)
    )


def _passed_by_tox() -> list[str]:
    """The patterns in tox.ini: what tox passes on is what clients read."""
    # tox reads ${...} and % in its own way.
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(TOX)
    return parser.get("testenv", "pass_env", fallback="").split()


def _told(client: Client, cwd: Path | None) -> str:
    try:
        lines = client.settings(cwd).splitlines()
    except Failure as failure:
        lines = str(failure).splitlines()[:1]
    told = [f"    {line.strip()}" for line in lines if line.strip()] or ["    none"]
    variables = ", ".join(variables_set()) or "none"
    return "\n".join(
        [f"The settings of {client.name}:", *told, f"Variables that are set: {variables}"]
    )


def _npm_settings(cwd: Path | None) -> str:
    """What `npm config list` prints, which hides secrets, without its remarks on versions."""
    lines = run("npm", "config", "list", cwd=cwd).splitlines()
    return "\n".join(line for line in lines if not line.startswith("; ") or " config from " in line)


def _pip_settings(python: str) -> Callable[[Path | None], str]:
    return lambda cwd: run(python, "-m", "pip", "config", "list", cwd=cwd)


def _docker_settings(_cwd: Path | None) -> str:
    """Which engine is asked, and how that engine reaches registries."""
    context = "context {{.Name}}, engine at {{.Endpoints.docker.Host}}"
    engine = (
        "the engine's proxies: HTTP {{or .HTTPProxy `none`}}, HTTPS {{or .HTTPSProxy `none`}}, "
        "exceptions {{or .NoProxy `none`}}; its mirrors: {{.RegistryConfig.Mirrors}}"
    )
    return run("docker", "context", "inspect", "--format", context) + run(
        "docker", "info", "--format", engine
    )


NPM = Client(name="npm (npm config list)", settings=_npm_settings)
DOCKER = Client(name="docker", settings=_docker_settings)


def pip(python: str) -> Client:
    """The pip of this Python."""
    return Client(name="pip (pip config list)", settings=_pip_settings(python))
