"""Choice of the image."""

from __future__ import annotations

import pytest

from pytest_ldb.model.settings import Settings


@pytest.mark.parametrize(
    ("images", "prefix", "reference"),
    [
        ({}, "", "postgres:18"),
        ({"postgres": "postgres:17"}, "", "postgres:17"),
        ({"mysql": "mysql:8"}, "", "postgres:18"),
        ({}, "mirror.example.com/hub", "mirror.example.com/hub/postgres:18"),
        ({}, "mirror.example.com/hub/", "mirror.example.com/hub/postgres:18"),
        ({"postgres": "postgis/postgis:17"}, "mirror", "mirror/postgis/postgis:17"),
        ({"postgres": "ghcr.io/a/pg:1"}, "mirror", "ghcr.io/a/pg:1"),
        ({"postgres": "localhost/pg:1"}, "mirror", "localhost/pg:1"),
        ({"postgres": "registry:5000/pg"}, "mirror", "registry:5000/pg"),
        ({"postgres": "postgres@sha256:abc"}, "mirror", "mirror/postgres@sha256:abc"),
    ],
)
def test_image_override_wins_and_prefix_needs_no_registry(
    images: dict[str, str], prefix: str, reference: str
) -> None:
    settings = Settings(images=images, image_prefix=prefix)
    assert settings.image_for("postgres", "postgres:18") == reference


def test_external_urls_are_not_shown() -> None:
    assert "hunter2" not in repr(Settings(urls={"redis": "redis://:hunter2@host"}))
