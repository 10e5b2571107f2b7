"""Install the packages that building images needs, and make the Debian systems to build on."""

from __future__ import annotations

import os
import shlex
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mirror import APT, KEYRING, credentials, mirror, update, way_to_mirrors
from settings import download
from steps import Failure, run, step

POLICY = Path("/usr/sbin/policy-rc.d")
UNATTENDED = {"DEBIAN_FRONTEND": "noninteractive"}
# Two builds at once may both lack packages, and apt-get cannot run twice at the same time.
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
    """Install packages, optional ones if this release has them; no service is started."""
    if not may_install():
        raise Failure(
            f"{', '.join(packages)} cannot be installed: that takes root on Debian. Install what "
            "is missing, or use a machine that reaches Docker Hub."
        )
    with step(f"installed {', '.join(packages)}"), _services_kept_down():
        update()
        known = [name for name in optional if run("apt-cache", "search", "-n", f"^{name}$")]
        options = ("--yes", "--no-install-recommends")
        download(APT, "apt-get", "install", *options, *packages, *known, env=UNATTENDED)


@contextmanager
def _services_kept_down() -> Iterator[None]:
    """Keep packages from starting services: no one would stop such an engine again."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    try:
        POLICY.chmod(0o755)
        yield
    finally:
        POLICY.unlink()


def write_debian(suite: str, packages: Iterable[str], hook: Path | None, tar: Path) -> None:
    """Write the files of a small Debian system with these packages, from this machine's mirror.

    The hook is a program that prepares the system for its packages; it gets the system's path.
    """
    require(mmdebstrap="mmdebstrap")
    with _installing:
        if not KEYRING.exists():
            install("debian-archive-keyring")
        source = mirror().source(suite)
    settings = tar.with_suffix(".apt.conf")
    settings.write_text(way_to_mirrors() + credentials())
    options = [*DEBIAN_OPTIONS, f"--include={','.join(packages)}", *_only_while_built(settings)]
    if hook is not None:
        options += [f"--essential-hook={hook}"]
    download(APT, "mmdebstrap", *options, suite, str(tar), source)


def _only_while_built(settings: Path) -> list[str]:
    """The options that make mmdebstrap use settings of apt which the image must not keep."""
    # The name sorts behind that of mmdebstrap's own file: the machine's settings win.
    target = '"$1/etc/apt/apt.conf.d/99pytest-ldb"'
    return [
        f"--setup-hook=install --mode=600 {shlex.quote(str(settings))} {target}",
        f"--customize-hook=rm {target}",
        # An address may carry a password.
        '--customize-hook=sed --in-place "s#://[^/@ ]*@#://#" "$1/etc/apt/sources.list"',
    ]


# These decide what is in the image, and so they are part of its identity; the mirror is not.
DEBIAN_OPTIONS = (
    "--variant=apt",
    "--components=main",
    '--aptopt=APT::Install-Recommends "false"',
    '--aptopt=Acquire::Languages "none"',
    '--aptopt=Acquire::Retries "3"',
    # Containers are thrown away: nothing has to survive a power cut.
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
)
