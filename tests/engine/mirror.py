"""How this machine reaches its Debian mirror, according to apt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from settings import Client, download
from steps import Failure, run

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Settings of what apt downloads and keeps belong to the image; the others are the way to a mirror.
NOT_THE_WAY = "IndexTargets|Changelogs|Languages|CompressionTypes|GzipIndexes|cdrom"
TARGET = "$(REPO_URI)\t$(SOURCESENTRY)"


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """A source of Debian's packages, with the options that the machine gives it."""

    address: str
    options: dict[str, str]

    def source(self, suite: str) -> str:
        """The line of a sources.list for this suite."""
        # A key of the machine may be that of another suite alone: Debian's own stay valid.
        options = dict(self.options)
        if "signed-by" in options:
            keyrings = [*options["signed-by"].split(","), str(KEYRING)]
            options["signed-by"] = ",".join(dict.fromkeys(keyrings))
        words = " ".join(f"{name}={value}" for name, value in options.items())
        return f"deb [{words}] {self.address} {suite} main" if words else self.address


def mirror() -> Mirror:
    """The Debian mirror that this machine's own packages come from."""
    found = _targets()
    if not found:
        update()  # What a source is stands in its lists, which may have been removed.
        found = _targets()
    if not found:
        raise Failure(
            "No image can be built: none of the sources that apt has on this machine is Debian's. "
            "Name a mirror of Debian in apt's sources, or use a machine that reaches Docker Hub."
        )
    address, _, entry = found[0].partition("\t")
    return Mirror(address=address, options=_options(entry))


def update() -> None:
    """Fetch the lists of packages of this machine."""
    download(APT, "apt-get", "update")


def way_to_mirrors() -> str:
    """The settings of apt that say how it reaches mirrors, as lines of a configuration file."""
    wanted = re.compile(rf"Acquire::(?!(?:{NOT_THE_WAY})\b)")
    return "".join(f"{line}\n" for line in _dump() if wanted.match(line))


def credentials() -> str:
    """Where apt finds the credentials for mirrors, as lines of a configuration file."""
    script = 'eval "$(apt-config shell file Dir::Etc::netrc/f parts Dir::Etc::netrcparts/d)"'
    script += '; printf "%s\\n" "$file" "$parts"'
    file, parts = run("sh", "-c", script).splitlines()
    return f'Dir::Etc::netrc "{file}";\nDir::Etc::netrcparts "{parts}";\n'


def _targets() -> list[str]:
    """The addresses of Debian's own sources, each with the place of its entry."""
    only = ("Created-By: Packages", "Origin: Debian", "Label: Debian", "Component: main")
    lines = run("apt-get", "indextargets", "--format", TARGET, *only).splitlines()
    return [line for line in lines if not line.startswith("cdrom:")]


def _options(entry: str) -> dict[str, str]:
    """The options of a source that apt does not print: its keyring, and whether it is trusted.

    The entry is a line of a .list file or a paragraph of a .sources file, named by its number.
    A key that stands in the file itself cannot be handed on.
    """
    name, _, number = entry.rpartition(":")
    text = Path(name).read_text(errors="replace")
    if name.endswith(".sources"):
        entries = re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n", "", text).strip())
    else:
        entries = text.splitlines()
    option = re.compile(r"(?im)(?:^|[\[ \t])(signed-by|trusted)[:=][ \t]*([^\s\]]+)")
    found = {name.lower(): value for name, value in option.findall(entries[int(number) - 1])}
    return {
        name: value for name, value in found.items() if name == "trusted" or value.startswith("/")
    }


def _dump() -> list[str]:
    return run("apt-config", "dump").splitlines()


def _settings(_cwd: Path | None) -> str:
    targets = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
    sources = ", ".join(dict.fromkeys(targets.split())) or "none"
    return f"sources: {sources}\n{_concise(way_to_mirrors())}"


def _concise(lines: str) -> str:
    """The lines that matter: apt also prints defaults, and names without a value."""
    return "\n".join(
        line
        for line in lines.splitlines()
        if not line.endswith(' "";') and not re.match(r"Acquire::Allow\S+ \"0\"", line)
    )


APT = Client(name="apt", settings=_settings)
