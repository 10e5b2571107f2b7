"""Images for recipes: found on the engine, pulled from a registry, or built."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bootstrap import write_debian
from dockerd import docker, pull
from recipes import FOLDER, Recipe
from steps import Failure, run, say, step

# Enough for a large image; if no registry answers, engines give up by themselves within 30 s.
PULL_TIMEOUT_S = 600.0
LABEL = "tests-engine.identity"
BUILDS_AT_ONCE = 2
_locks: dict[str, threading.Lock] = {}
_pulling = threading.Lock()
_no_pull = threading.Event()


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
    found = find([recipe]) or _pull(recipe)
    return found.get(recipe.name) or _build(recipe)


def _pull(recipe: Recipe) -> dict[str, str]:
    """Pull the official image, unless a pull has failed before: each failure takes long.

    Only the engine knows how it reaches registries, so it is not asked in another way.
    """
    with _pulling:
        if _no_pull.is_set():
            return {}
        try:
            with step(f"pulled {recipe.official}"):
                pull(recipe.official, timeout_s=PULL_TIMEOUT_S)
        except Failure as failure:
            _no_pull.set()
            say(f"{recipe.official} cannot be pulled, so equivalents are built. {failure}")
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
            _import_debian(recipe)
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
    # Nothing is downloaded in a build: a container has none of this machine's settings.
    # A step that fails leaves no container behind.
    command = ["build", "--quiet", "--network=none", "--force-rm", f"--tag={recipe.reference}"]
    command += [f"--label={LABEL}={recipe.identity}"]
    if recipe.parent is None:
        command += [f"--build-arg=SYSTEM={recipe.system}"]
    return command + [f"--build-arg={name}={value}" for name, value in recipe.arguments.items()]


def _import_debian(recipe: Recipe) -> None:
    """Make the Debian system that the image is built on, unless it is there."""
    if _labels([recipe.system]).get(recipe.system, {}).get(LABEL) == recipe.system_identity:
        return
    with (
        step(f"imported {recipe.system}"),
        tempfile.TemporaryDirectory(prefix="pytest-ldb-engine-") as name,
    ):
        tar = Path(name) / "debian.tar"
        write_debian(recipe.suite, recipe.system_packages, recipe.system_hook, tar)
        docker(
            "import",
            f"--change=LABEL {LABEL}={recipe.system_identity}",
            '--change=CMD ["bash"]',
            str(tar),
            recipe.system,
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
