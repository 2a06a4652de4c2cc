"""Names, numbering and writing of result files."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.outputs import RECORD, REPORT, _safe, plan_outputs, write_atomically
from interp.errors import OutputError, UsageError

EXTENSIONS = {"image": "png", "mask": "png", REPORT: "html", RECORD: "json"}


def names(folder: Path, **options: object) -> list[str]:
    plan = plan_outputs("stylize", "cat", EXTENSIONS, region="background", out_dir=folder, **options)  # pyright: ignore[reportArgumentType]
    return [path.name for path in plan.paths.values()]


def test_automatic_names_are_numbered_together(tmp_path: Path) -> None:
    first = names(tmp_path)
    assert first == [
        "cat.stylize-background.png",
        "cat.stylize-background.mask.png",
        "cat.stylize-background.report.html",
        "cat.stylize-background.report.json",
    ]
    (tmp_path / first[1]).touch()  # one taken name moves the whole run
    assert names(tmp_path)[0] == "cat.stylize-background-2.png"
    assert names(tmp_path)[1] == "cat.stylize-background-2.mask.png"


def test_an_explicit_output_gives_its_stem_to_the_others(tmp_path: Path) -> None:
    plan = plan_outputs("stylize", "cat", EXTENSIONS, output=tmp_path / "new" / "me.jpg")
    assert plan.paths["image"] == tmp_path / "new" / "me.jpg"
    assert plan.paths["mask"].name == "me.mask.png" and plan.paths[RECORD].name == "me.report.json"


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    output = tmp_path / "me.png"
    output.write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        plan_outputs("stylize", "cat", EXTENSIONS, output=output)
    plan_outputs("stylize", "cat", EXTENSIONS, output=output, overwrite=True)
    with pytest.raises(OutputError, match="input"):
        plan_outputs("stylize", "cat", EXTENSIONS, output=output, overwrite=True, inputs=[output])
    with pytest.raises(UsageError, match=r"\.bmp"):
        plan_outputs("stylize", "cat", EXTENSIONS, output=tmp_path / "me.bmp")
    assert output.read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_said_first(tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.touch()
    with pytest.raises(OutputError, match="file"):
        plan_outputs("stylize", "cat", EXTENSIONS, out_dir=taken)
    if os.geteuid() != 0:  # root may write anywhere
        taken = tmp_path / "locked"
        taken.mkdir(mode=0o500)
        with pytest.raises(OutputError, match="locked"):
            plan_outputs("stylize", "cat", EXTENSIONS, out_dir=taken)


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(OutputError):
        write_atomically(target, b"data")  # a folder cannot be replaced by a file
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    write_atomically(tmp_path / "a.png", b"data")
    assert (tmp_path / "a.png").read_bytes() == b"data" and (tmp_path / "a.png").stat().st_mode & 0o400


@given(st.text(max_size=300))
def test_any_stem_becomes_a_harmless_name(stem: str) -> None:
    name = _safe(stem)
    assert name and not name.startswith((".", "-")) and len(name.encode()) <= 80
    assert not set(name) & set('/\\:*?"<>|\n\0')
