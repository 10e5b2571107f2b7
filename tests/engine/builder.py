"""Images for recipes: found on the engine, or pulled from a registry, or else built."""

from __future__ import annotations

import functools
import json
import shutil
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bootstrap import write_debian
from dockerd import docker
from recipes import FOLDER, Recipe, debian_identity, debian_reference
from steps import Failure, run, say, step

REGISTRY = "https://registry-1.docker.io/v2/"
REGISTRY_PATIENCE_S = 2.0
PULL_TIMEOUT_S = 600.0
LABEL = "tests-engine.identity"
BUILDS_AT_ONCE = 2
_locks: dict[str, threading.Lock] = {}


def find(recipes: Iterable[Recipe]) -> dict[str, str]:
    """The references of images that are there and up to date, by name of recipe."""
    recipes = tuple(recipes)
    labels = _labels(name for recipe in recipes for name in (recipe.official, recipe.reference))
    found = {}
    for recipe in recipes:
        if recipe.official in labels:
            found[recipe.name] = recipe.official
        elif labels.get(recipe.reference, {}).get(LABEL) == recipe.identity:
            found[recipe.name] = recipe.reference
    return found


def provide(recipes: Iterable[Recipe]) -> dict[str, str]:
    """The references of images for all of these recipes, by name; makes what is missing."""
    recipes = tuple(recipes)
    with ThreadPoolExecutor(BUILDS_AT_ONCE) as pool:
        return dict(
            zip([recipe.name for recipe in recipes], pool.map(_provide, recipes), strict=True)
        )


def _provide(recipe: Recipe) -> str:
    found = find([recipe])
    if not found and registry_answers():
        found = _pull(recipe)
    return found.get(recipe.name) or _build(recipe)


@functools.cache
def registry_answers() -> bool:
    """Whether Docker Hub can be reached from here within a moment; any answer counts."""
    answered = threading.Event()

    def ask() -> None:
        try:
            urllib.request.urlopen(REGISTRY, timeout=REGISTRY_PATIENCE_S).close()
            answered.set()
        except urllib.error.HTTPError:
            answered.set()  # It wants credentials: it is there.
        except OSError:
            return

    # Looking up a name knows no timeout, so it is done where nobody waits for it.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(REGISTRY_PATIENCE_S)
    return answered.is_set()


def _pull(recipe: Recipe) -> dict[str, str]:
    try:
        with step(f"pulled {recipe.official}"):
            docker("pull", "--quiet", recipe.official, timeout_s=PULL_TIMEOUT_S)
    except Failure as failure:
        say(f"{recipe.official} cannot be pulled, so an equivalent is built. {failure}")
        return {}
    return {recipe.name: recipe.official}


def _build(recipe: Recipe) -> str:
    """Build the image, unless another thread has just done so."""
    with _locks.setdefault(recipe.reference, threading.Lock()):
        if _labels([recipe.reference]).get(recipe.reference, {}).get(LABEL) == recipe.identity:
            return recipe.reference
        if recipe.parent:
            _build(recipe.parent)
        else:
            _import_debian(recipe.suite)
        with tempfile.TemporaryDirectory(prefix="pytest-ldb-engine-") as name:
            context = Path(name)
            shutil.copytree(FOLDER / recipe.folder, context, dirs_exist_ok=True)
            for ingredient in recipe.ingredients:
                with step(f"fetched {ingredient.requirement}"):
                    ingredient.fetch(ingredient.requirement, context)
            with step(f"built {recipe.reference}"):
                docker(*_build_command(recipe), str(context))
    return recipe.reference


def _build_command(recipe: Recipe) -> list[str]:
    # The host's network reaches the mirror the way the host does.
    # A step that fails leaves no container behind.
    command = ["build", "--quiet", "--network=host", "--force-rm", f"--tag={recipe.reference}"]
    command += [f"--label={LABEL}={recipe.identity}"]
    if recipe.parent is None:
        command += [f"--build-arg=SUITE={recipe.suite}"]
    return command + [f"--build-arg={name}={value}" for name, value in recipe.arguments.items()]


def _import_debian(suite: str) -> None:
    reference, identity = debian_reference(suite), debian_identity(suite)
    with _locks.setdefault(reference, threading.Lock()):
        if _labels([reference]).get(reference, {}).get(LABEL) == identity:
            return
        with (
            step(f"imported {reference}"),
            tempfile.TemporaryDirectory(prefix="pytest-ldb-engine-") as name,
        ):
            tar = Path(name) / "debian.tar"
            write_debian(suite, tar)
            docker(
                "import",
                f"--change=LABEL {LABEL}={identity}",
                '--change=CMD ["bash"]',
                str(tar),
                reference,
            )


def _labels(references: Iterable[str]) -> dict[str, dict[str, str]]:
    """The labels of those images that are there."""
    # `docker image inspect` prints what it finds, and fails if that is not everything.
    template = "{{json .RepoTags}}\t{{json .Config.Labels}}"
    lines = run(
        "sh", "-c", 'docker image inspect --format "$@" || :', "sh", template, *references
    ).splitlines()
    parts = (line.split("\t") for line in lines if line)
    return {tag: json.loads(labels) or {} for tags, labels in parts for tag in json.loads(tags)}
