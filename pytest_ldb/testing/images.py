"""Tests of images that are made from containers."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from ..engines.protocol import Image
from ..model.errors import EngineFailed, ImageUnavailable
from ..model.request import LABEL
from .containers import ENDS_S, Containers

OURS = f"{LABEL}contract"


@dataclass(frozen=True)
class Remembered:
    """An image that contains a file, with its tag and the value of its label."""

    id: str
    tag: str
    batch: str


class ImageContract:
    """Tests of ``Engine.remember``; a part of ``EngineContract``."""

    root: str

    @pytest.fixture
    def remembered(self, containers: Containers) -> Iterator[Remembered]:
        """An image made from a container that has written a file."""
        inner = f"{self.root}/data/inner"
        script = f"umask 027; mkdir -p {inner}; echo kept >{inner}/file; ln -s file {inner}/link"
        container, watch = containers.run(script)
        assert watch.ended(ENDS_S) is not None
        watch.close()
        batch = uuid.uuid4().hex
        tag = f"pytest-ldb-contract:{batch}"
        made = containers.engine.remember(container, ["/data"], {OURS: batch}, tag)
        yield Remembered(made, tag, batch)
        for user in containers.engine.containers({OURS: batch}):
            containers.engine.remove(user.id)
        containers.engine.remove_image(made)

    @pytest.mark.parametrize("volumes", [(), ("/data",)], ids=["on disk", "in memory"])
    def test_container_contains_the_committed_files(
        self, containers: Containers, remembered: Remembered, volumes: tuple[str, ...]
    ) -> None:
        container = containers.serve(image=remembered.id, memory_volumes=volumes)
        assert container.image_id == remembered.id
        shell = containers.engine.shell(container.id, environment={}, ephemeral=False)
        inner = f"{self.root}/data/inner"
        assert shell.run(["cat", f"{inner}/link"]) == "kept\n"
        assert shell.run(["stat", "-c", "%a", inner, f"{inner}/file"]).split() == ["750", "640"]
        shell.close()

    def test_containers_of_an_image_have_separate_data(
        self, containers: Containers, remembered: Remembered
    ) -> None:
        change = f"rm {self.root}/data/inner/file"
        _, watch = containers.run(change, image=remembered.id)
        assert watch.ended(ENDS_S) is not None
        watch.close()
        self.test_container_contains_the_committed_files(containers, remembered, ())

    def test_images_are_found_by_their_labels(
        self, containers: Containers, remembered: Remembered
    ) -> None:
        (found,) = containers.engine.images({OURS: remembered.batch})
        assert isinstance(found, Image)
        assert found.id == remembered.id
        assert found.labels[OURS] == remembered.batch
        assert remembered.id in [image.id for image in containers.engine.images({OURS: ""})]
        assert containers.engine.images({OURS: "other"}) == []

    def test_committed_image_has_its_name(
        self, containers: Containers, remembered: Remembered
    ) -> None:
        found = containers.engine.image(remembered.tag, pull="never", say=print)
        assert found.id == remembered.id

    def test_image_in_use_is_not_removed(
        self, containers: Containers, remembered: Remembered
    ) -> None:
        containers.serve(image=remembered.id)
        with pytest.raises(EngineFailed):
            containers.engine.remove_image(remembered.id)
        assert containers.engine.images({OURS: remembered.batch})

    def test_removed_image_is_unavailable(
        self, containers: Containers, remembered: Remembered
    ) -> None:
        containers.engine.remove_image(remembered.id)
        containers.engine.remove_image(remembered.id)
        with pytest.raises(ImageUnavailable):
            containers.create(image=remembered.id)
