"""Several pictures: one engine, names that differ, a manifest that survives being killed."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from commands.many.manifest import CLAIM, NAME, Manifest, claim, failures
from commands.many.sources import names_apart, pictures_in
from commands.many.task import Outcome, Task
from interp.errors import InputError, OutputError
from tests.helpers import assert_failed, call

ROOT = Path(__file__).parent.parent
QUICK = ("kmeans", "--k", "2", "--no-report")  # no network, 0.1 s


def photos(folder: Path, *names: str) -> Path:
    """Tiny pictures, each another."""
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        pixels = np.random.default_rng(number).integers(0, 255, (24, 32, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


def entries(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / NAME).read_text().splitlines()]


def results(out: Path) -> dict[str, str]:
    """SHA-256 of every file but the batch's own."""
    files = [path for path in out.iterdir() if path.name not in (NAME, "index.html")]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def test_a_picture_of_many_equals_the_picture_alone(tmp_path: Path) -> None:
    """One meaning: the same bytes by the command alone, by several pictures, and by batch; the network stays loaded."""
    many = photos(tmp_path / "in", "a.png", "b.png")
    command = ("stylize", "--style", many / "a.png", "--size", "64", "--preset", "draft", "--iterations", "2")
    command += ("--region", "all", "--no-report", "--weights", "compact")
    for name in "ab":
        assert call(*command, many / f"{name}.png", "--out-dir", tmp_path / "alone").exit_code == 0
    several = call(*command, many, "--out-dir", tmp_path / "several")
    batch = call("batch", *command, many, "--out-dir", tmp_path / "batch")
    assert several.exit_code == batch.exit_code == 0, batch.output
    assert results(tmp_path / "alone") == results(tmp_path / "several") == results(tmp_path / "batch")
    assert len(results(tmp_path / "batch")) == 6
    assert several.stdout.replace("several", "batch") == batch.stdout and "[2 of 2]" in batch.stderr


def test_the_record_names_the_command_that_does_it_alone(tmp_path: Path) -> None:
    many = photos(tmp_path / "in", "a.png", "b.png")
    done = call("batch", "kmeans", many, "--k", "3", "--out-dir", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    first = json.loads(done.stdout.splitlines()[0])
    told = Path(first["record"]).read_text()
    assert f"kmeans --k 3 --out-dir {tmp_path / 'out'} {many / 'a.png'}" in told and "b.png" not in told
    index = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert index.count("<img") == 2 and "a.kmeans.report.html" in index and "Not done" not in index
    (many / "bad<.png").write_text("no picture")
    done = call("batch", "kmeans", many, "--k", "3", "--out-dir", tmp_path / "out", "--resume")
    assert done.exit_code == 8 and "2 of 3 pictures passed over" in done.stderr
    index = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert index.count("<img") == 2 and "Not done" in index and "bad&lt;.png: &#39;bad&lt;.png&#39; is not a" in index


def test_the_index_of_several_pictures_names_what_was_not_done(tmp_path: Path) -> None:
    many = photos(tmp_path / "in", "a.png")
    (many / "bad.png").write_text("no picture")
    assert call("kmeans", many, "--k", "3", "--out-dir", tmp_path / "out").exit_code == 8
    index = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert index.count("<img") == 1 and "Not done" in index and "&#39;bad.png&#39; is not a picture" in index


def test_names_never_collide(tmp_path: Path) -> None:
    assert names_apart(["x/a.jpg", "y/a.jpg", "A.png", "b.png"]) == {
        "x/a.jpg": "x-a.jpg", "y/a.jpg": "y-a.jpg", "A.png": "A.png", "b.png": "b",
    }  # fmt: skip
    many = photos(tmp_path / "in", "a.png", "a.jpg")
    styles = photos(tmp_path / "styles", "s.png", "t.png")
    command = ("stylize", many, "--instant", "--size", "64", "--region", "all", "--no-report", "--weights", "compact")
    done = call("batch", *command, "--styles", styles, "--out-dir", tmp_path / "out")
    assert done.exit_code == 0, done.output
    pictures = {name for name in results(tmp_path / "out") if name.count(".stylize-all.") == 1 and "mask" not in name}
    stems = {name.split(".stylize")[0] for name in pictures}
    assert stems == {"a.jpg-s", "a.jpg-t", "a.png-s", "a.png-t"}
    assert {(entry["photo"][-3:], entry["painting"][-5]) for entry in entries(tmp_path / "out")} == {
        ("jpg", "s"), ("jpg", "t"), ("png", "s"), ("png", "t"),
    }  # fmt: skip


def test_lists_name_pictures(tmp_path: Path) -> None:
    many = photos(tmp_path / "in", "a.png", "b.png")
    (tmp_path / "list.txt").write_text(f"{many / 'b.png'}\n\n{many / 'a.png'}\n")
    assert pictures_in([str(tmp_path / "list.txt")]) == [str(many / "b.png"), str(many / "a.png")]
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\x00\xff")
    for name in ("empty.txt", "binary.txt", "nosuch.txt"):
        with pytest.raises(InputError):
            pictures_in([str(tmp_path / name)])


def test_the_manifest_tells_what_came_of_each(tmp_path: Path) -> None:
    many, out = photos(tmp_path / "in", "a.png", "b.png"), tmp_path / "out"
    (many / "bad.png").write_text("no picture")
    done = call("batch", *QUICK, many, "--out-dir", out)
    assert done.exit_code == 8 and "2 of 3 pictures done; failed:" in done.stderr, done.output
    good, _, bad = entries(out)
    assert good["status"] == "done" and good["code"] == 0 and good["command"] == "kmeans"
    assert good["inputs"] == {str(many / "a.png"): hashlib.sha256((many / "a.png").read_bytes()).hexdigest()}
    assert {each["file"]: each["sha256"] for each in good["outputs"].values()}.items() <= results(out).items()
    assert bad["status"] == "failed" and bad["code"] == 3 and "not a picture" in bad["message"] and not bad["outputs"]
    assert len(results(out)) == len(good["outputs"]) * 2


def test_resume_passes_over_what_is_done_and_unchanged(tmp_path: Path) -> None:
    many, out = photos(tmp_path / "in", "a.png", "b.png", "c.png"), tmp_path / "out"
    bad = many / "bad.png"
    bad.write_text("no picture")

    def again(*more: object, command: tuple[str, ...] = QUICK) -> list[str]:
        """Which pictures were worked on."""
        before = len(entries(out)) if out.exists() else 0
        code = call("batch", *command, many, "--out-dir", out, *more).exit_code
        assert code == (8 if "no picture" in bad.read_text(errors="replace") else 0)
        return [Path(entry["photo"]).name for entry in entries(out)[before:]]

    every = ["a.png", "b.png", "bad.png", "c.png"]
    assert again() == every
    assert again("--resume") == []
    assert again("--retry-failed") == ["bad.png"]
    assert again("--resume", "--threads", "1", "-q") == []  # they make the same
    (many / "a.png").write_bytes((many / "c.png").read_bytes())
    (out / "b.kmeans.png").unlink()
    assert again("--resume") == ["a.png", "b.png"]
    assert again("--resume", "--seed", "1") == every
    bad.write_bytes((many / "c.png").read_bytes())
    assert again("--resume") == ["bad.png"]


def test_what_is_done_again_gets_its_own_names(tmp_path: Path) -> None:
    """Whatever became of input and output; names that others took since are left to them."""
    many, out = photos(tmp_path / "in", "a.png", "b.png"), tmp_path / "out"
    resumed = ("batch", *QUICK, many, "--out-dir", out, "--resume")
    out.mkdir()
    (out / "a.kmeans.png").write_text("mine")
    assert call(*resumed).exit_code == 0
    whole = results(out)
    assert {"a.kmeans-2.png", "b.kmeans.png"} < set(whole)
    (out / "a.kmeans.png").unlink()  # the lower number is free now
    (out / "a.kmeans-2.stats.json").unlink()
    (out / "b.kmeans.png").write_text("damaged")
    assert call(*resumed).exit_code == 0
    del whole["a.kmeans.png"]
    assert results(out) == whole
    kept = (many / "b.png").read_bytes()
    (many / "b.png").write_text("no picture")
    assert call(*resumed).exit_code == 8 and results(out) == whole  # a failure takes nothing away
    (many / "b.png").write_bytes(kept)
    assert call(*resumed).exit_code == 0 and results(out) == whole
    (out / "b.kmeans.png").unlink()
    (out / "b.kmeans.stats.json").unlink()
    assert call("batch", "kmeans", many / "b.png", "--k", "3", "--out-dir", out, "-q").exit_code == 0
    others = {name: digest for name, digest in results(out).items() if name not in whole}
    assert call(*resumed).exit_code == 0 and others.items() <= results(out).items()


def test_names_that_a_task_no_longer_has_go(tmp_path: Path) -> None:
    for name in ("old.png", "same.png", "taken.png"):
        (tmp_path / name).touch()
    manifest, task = Manifest(tmp_path), Task("kmeans", (), "a.png", None, "a", "1")
    files = {name: str(tmp_path / name) for name in ("old.png", "same.png", "taken.png")}
    manifest.add(task, Outcome(0, outputs=files, hashes=dict.fromkeys(files.values(), "")))
    taken = Outcome(0, outputs={"map": "taken.png"}, hashes={"taken.png": ""})
    manifest.add(Task("kmeans", (), "b.png", None, "b", "2"), taken)
    (again,) = manifest.owning([task])
    assert set(again.own) == {"old.png", "same.png"}
    manifest.add(again, Outcome(6, "no memory"))
    (again,) = manifest.owning([task])
    assert set(again.own) == {"old.png", "same.png"} and (tmp_path / "old.png").exists()
    same = str(tmp_path / "same.png")
    manifest.add(again, Outcome(0, outputs={"map": same}, hashes={same: ""}))
    manifest.close()
    assert {path.name for path in tmp_path.glob("*.png")} == {"same.png", "taken.png"}


def test_nothing_is_made_anew_unasked(tmp_path: Path) -> None:
    many, out = photos(tmp_path / "in", "a.png"), tmp_path / "out"
    assert call("batch", *QUICK, many, "--out-dir", out).exit_code == 0
    before = results(out)
    photos(many, "a.png", "b.png")
    refused = call("batch", *QUICK, many, "--out-dir", out)
    assert_failed(refused, 4, "has 1 of these pictures already", "--resume", "--out-dir")
    assert results(out) == before and len(entries(out)) == 1
    assert call("batch", *QUICK, many, "--seed", "1", "--out-dir", out).exit_code == 0  # which are others


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_said_once(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.file.close()
    with Path("/dev/full").open("ab") as manifest.file, pytest.raises(OutputError, match="No space left"):
        try:
            manifest.add(Task("kmeans", (), "a.png", None, "a", "1"), Outcome(0))
        finally:
            manifest.close()  # which writes what is left once more
    manifest = Manifest(tmp_path)  # the folder is free again
    assert not manifest.entries
    manifest.close()


def test_a_batch_that_is_killed_goes_on_and_does_each_once(tmp_path: Path) -> None:
    """SIGKILL at three moments, then to the end: what a run without interruption gives, and no name is numbered."""
    many = photos(tmp_path / "in", *(f"p{number:02}.png" for number in range(24)))
    out, generator = tmp_path / "out", random.Random(0)
    line = [sys.executable, "cli.py", "batch", *QUICK, str(many), "--out-dir", str(out), "--resume", "-q"]
    for round_ in range(1, 4):
        process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL)
        while process.poll() is None and (not out.exists() or len(list(out.glob("*.kmeans.png"))) < 5 * round_):
            time.sleep(0.01)
        time.sleep(generator.random() / 10)
        process.kill()
        assert process.wait() == -signal.SIGKILL, "it ended before it was killed"
    assert subprocess.run(line, cwd=ROOT, check=False, stdout=subprocess.DEVNULL).returncode == 0
    assert sorted(entry["photo"] for entry in entries(out)) == pictures_in([str(many)])
    assert call("batch", *QUICK, many, "--out-dir", tmp_path / "whole", "-q").exit_code == 0
    left = {name: digest for name, digest in results(out).items() if not name.endswith((".part", ".lock"))}
    assert left == results(tmp_path / "whole") and len(left) == 4 * 24


def test_unfinished_results_go_and_finished_ones_stay(tmp_path: Path) -> None:
    """A kill between claim and line, and one between line and the claim's end."""
    task = Task("kmeans", (), "a.png", None, "a", "1234")
    for name in ("a.png", "a-2.png", "mine.png"):
        (tmp_path / name).write_text(name)
    manifest = Manifest(tmp_path)
    manifest.add(task, Outcome(0, outputs={"map": str(tmp_path / "a.png")}, hashes={str(tmp_path / "a.png"): "0"}))
    with pytest.raises(OutputError, match="Another batch"):
        Manifest(tmp_path)
    manifest.close()
    claim(tmp_path, "1234", [tmp_path / "a-2.png", tmp_path / "a.png"])
    for name in ("a-2.step-00010.png", "a.step-00010.png"):  # `--every` writes them
        (tmp_path / name).touch()
    (tmp_path / f".torn{CLAIM}").write_text('["mine.')
    with (tmp_path / NAME).open("a") as file:
        file.write('{"key": "56')  # a crash in the middle of a line
    again = Manifest(tmp_path)
    assert list(again.entries) == ["1234"]
    again.add(task, Outcome(3, "no"))
    again.close()
    assert [entry["code"] for entry in entries(tmp_path)] == [0, 3]
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "a.step-00010.png", "mine.png", NAME}
    (tmp_path / NAME).write_text("something else\n")
    with pytest.raises(OutputError, match="no manifest"):
        Manifest(tmp_path)


def test_what_was_not_done_is_named_unless_it_was_done_otherwise(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    for key, photo, code in (("1", "a.png", 3), ("2", "b.png", 0), ("3", "b.png", 3), ("4", "caf\udce9.png", 3)):
        manifest.add(Task("kmeans", (), photo, None, "", key), Outcome(code, "why"))  # the last name is no UTF-8
    manifest.close()
    assert failures(tmp_path) == [("a.png", "why"), (r"caf\udce9.png", "why")] and failures(tmp_path / "no") == []


def test_ctrl_c_leaves_what_is_finished(tmp_path: Path) -> None:
    many, out = photos(tmp_path / "in", *(f"p{number:02}.png" for number in range(40))), tmp_path / "out"
    line = [sys.executable, "cli.py", "batch", *QUICK, str(many), "--out-dir", str(out)]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (out / "p02.kmeans.png").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 130 and "--resume goes on" in said, said
    assert 2 <= len(entries(out)) < 40 and all(entry["status"] == "done" for entry in entries(out))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("doctor", "IN"), "kmeans"),
        (("kmean", "IN"), "kmeans"),
        (("kmeans",), "No picture was named"),
        (("kmeans", "-"), "Standard input"),
        (("kmeans", "IN", "--nosuch", "3"), "--nosuch"),
        (("kmeans", "IN", "--k", "x"), "--k"),
        (("kmeans", "IN", "--k", "2", "--k", "3"), "given 2 times"),
        (("kmeans", "IN", "--styles", "IN"), "takes no painting"),
        (("kmeans", "IN", "nosuch"), "There is no 'nosuch'"),
        (("stylize", "IN", "--styles", "nosuch"), "There is no 'nosuch'"),
        (("stylize", "IN"), "no painting"),
        (("stylize", "IN", "--style", "IN", "--styles", "IN"), "one or the other"),
        (("stylize", "IN", "--style", "x.png", "--checkpoint", "c.safetensors"), "one file"),
        (("stylize", "IN", "--style", "x.png", "--region", "all", "--box", "1,1,9,9"), "does nothing"),
        (("segment", "IN", "-o", "one.png"), "--out-dir"),
        (("kmeans", "IN", "--workers", "2", "--scheduler", "tcp://127.0.0.1:1"), "both"),
    ],
)
def test_what_cannot_be_is_refused_before_the_work(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    many = photos(tmp_path / "in", "a.png", "b.png")
    line = [str(many) if word == "IN" else word for word in arguments]
    refused = call("batch", *line, "--out-dir", tmp_path / "out")
    assert refused.exit_code == 2 and words in refused.stderr.replace("\n", " "), refused.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_takes_nothing(tmp_path: Path) -> None:
    many = photos(tmp_path / "in", "a.png")
    (tmp_path / "file").write_text("")
    refused = call("batch", *QUICK, many, "--out-dir", tmp_path / "file")
    assert refused.exit_code == 4 and "Choose another --out-dir" in refused.stderr


def test_without_dask_one_process_works_and_workers_say_what_to_install(tmp_path: Path) -> None:
    many = photos(tmp_path / "in", "a.png")
    block = "import sys; sys.modules['distributed'] = sys.modules['dask'] = None; import cli; cli.main()"
    hidden = (
        "import sys, importlib.util as u; find = u.find_spec; "
        "u.find_spec = lambda name, package=None: None if name == 'distributed' else find(name, package); " + block
    )
    line = [sys.executable, "-c", hidden, "batch", *QUICK, str(many), "--out-dir", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    alone, workers = (
        subprocess.run([*line, *more], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        for more in ((), ("--workers", "2"))
    )
    assert alone.returncode == 0, alone.stderr
    assert workers.returncode == 2 and "gramscope[batch]" in workers.stderr
    assert workers.stderr.count("\n") == 1
