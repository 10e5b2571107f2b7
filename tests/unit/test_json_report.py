"""The JSON report of a run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pytest_ldb.plugin.json_report import write_report

from .test_usage import use

EXISTING = use(origin="existing", name="mysql at db:3306", type="mysql", image="")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_report_has_every_server(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    kept = use(pull_s=12.3456789, waits={0.2: 2, 0.4: 1}, templates_s=[0.1, 0.2], kept_failed=True)
    assert write_report(path, [kept, EXISTING]) == ""
    report = json.loads(path.read_text())
    assert report["schema"] == 1
    one, other = report["servers"]
    assert one.pop("ended_by")
    assert one == {
        "type": "fake",
        "name": "shop-1-fake-2",
        "container": "ldb-shop-1-fake-2",
        "image": "fake:1",
        "origin": "created",
        "pull_s": 12.346,
        "start_s": 0.5,
        "ready_s": 1.5,
        "templates": 2,
        "templates_s": 0.3,
        "fresh_databases": 3,
        "fresh_wait_median_s": 0.2,
        "fresh_wait_longest_s": 0.4,
        "processes": 1,
        "kept": False,
        "kept_failed": True,
    }
    empty = [name for name, value in other.items() if value is None]
    assert empty == [
        "container",
        "image",
        "pull_s",
        "fresh_wait_median_s",
        "fresh_wait_longest_s",
        "ended_by",
    ]


def test_report_replaces_the_previous_one(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_report(path, [EXISTING])
    assert write_report(path, []) == ""
    assert json.loads(path.read_text()) == {"schema": 1, "servers": []}
    assert names(tmp_path) == ["report.json"]


def test_symlink_is_preserved(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert write_report(tmp_path / "link", []) == ""
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent/report.json", "No such file or directory"),
        ("file/report.json", "Not a directory"),
        ("folder", "it is not a file"),
        ("pipe", "it is not a file"),
        ("loop", ""),
    ],
)
def test_unwritable_file_is_reported_in_one_sentence(
    tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    there = names(tmp_path)
    problem = write_report(tmp_path / name, [])
    assert problem.startswith(f"{tmp_path / name} could not be written: ")
    assert problem.endswith(reason)
    assert names(tmp_path) == there


def test_full_disk_keeps_the_previous_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.json"
    write_report(path, [EXISTING])
    before = path.read_text()

    def full(_: Path, *__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert write_report(path, []) == f"{path} could not be written: No space left on device"
    assert path.read_text() == before
    assert names(tmp_path) == ["report.json"]
