"""What a machine needs before it can build images: packages, and the Debian systems to build on."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from steps import Failure, run, step

APT = Path("/etc/apt")
POLICY = Path("/usr/sbin/policy-rc.d")
UNATTENDED = {"DEBIAN_FRONTEND": "noninteractive"}
DEFAULT_MIRROR = "http://deb.debian.org/debian"
# Two builds at once may each miss something, and apt-get can only be run once at a time.
_installing = threading.Lock()


def may_install() -> bool:
    """Whether packages can be installed here."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def require(**packages: str) -> None:
    """Install the packages whose programs are missing; given as program="package"."""
    with _installing:
        missing = [package for name, package in packages.items() if shutil.which(name) is None]
        if missing:
            install(*missing)


def install(*packages: str, optional: tuple[str, ...] = ()) -> None:
    """Install packages, optional ones where this release has them; no service is started."""
    if not may_install():
        raise Failure(
            f"{', '.join(packages)} cannot be installed: that takes root on Debian. Install what "
            "is missing, or use a machine that reaches Docker Hub at registry-1.docker.io."
        )
    with step(f"installed {', '.join(packages)}"), _services_kept_down():
        run("apt-get", "update")
        known = [name for name in optional if run("apt-cache", "search", "-n", f"^{name}$")]
        options = ("--yes", "--no-install-recommends")
        run("apt-get", "install", *options, *packages, *known, env=UNATTENDED)


@contextmanager
def _services_kept_down() -> Iterator[None]:
    """An engine that a package starts would be nobody's to end."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    try:
        POLICY.chmod(0o755)
        yield
    finally:
        POLICY.unlink()


def write_debian(suite: str, tar: Path) -> None:
    """Write the files of a small Debian system, from this machine's mirror."""
    require(mmdebstrap="mmdebstrap")
    if not Path("/usr/share/keyrings/debian-archive-keyring.gpg").exists():
        install("debian-archive-keyring")
    run("mmdebstrap", *DEBIAN_OPTIONS, *_apt_options(), suite, str(tar), _mirror())


# These decide what is in the image, and so they are part of its identity; the mirror is not.
DEBIAN_OPTIONS = (
    "--variant=apt",
    "--components=main",
    "--include=passwd,tzdata",
    '--aptopt=APT::Install-Recommends "false"',
    '--aptopt=Acquire::Languages "none"',
    '--aptopt=Acquire::Retries "3"',
    # Containers are thrown away: nothing has to survive a power cut.
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
)


def _mirror() -> str:
    """The Debian mirror that this machine's own packages come from."""
    files = [APT / "sources.list", *sorted((APT / "sources.list.d").glob("*"))]
    text = "\n".join(file.read_text() for file in files if file.is_file())
    active = re.sub(r"#.*", "", text)
    found = re.search(r"https?://\S+/debian/?(?=\s)", active)
    return found.group() if found else DEFAULT_MIRROR


def _apt_options() -> list[str]:
    """How this machine reaches its mirror, and how old it lets the mirror's lists be."""
    wanted = re.compile(r"Acquire::(Check-(Valid-Until|Date)|https?::Proxy|https?::No-Cache) ")
    lines = run("apt-config", "dump").splitlines()
    return [f"--aptopt={line}" for line in lines if wanted.match(line)]
