"""Workers of a real cluster of processes: what they share, and what becomes of a picture whose worker dies."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer import Exit

from commands.many.engine import Batch, Manner
from commands.many.manifest import NAME, Manifest
from commands.many.task import Outcome, Task
from interp.errors import UsageError
from tests.test_batch import QUICK, entries, photos, results

pytest.importorskip("distributed")
from commands.many.workers import INTERRUPTIONS, OnWorkers, _interrupted_after

if TYPE_CHECKING:
    from commands.many.workers import Station

ROOT = Path(__file__).parent.parent


def act(task: Task, station: "Station") -> Outcome:
    """What the photo's name says: die, die once, or tell of the worker."""
    mark = Path(task.photo.removeprefix("once "))
    if task.photo == "poison" or (task.photo.startswith("once ") and not mark.exists()):
        if task.photo != "poison":
            mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    loaded = station.networks.get("network", lambda: f"{os.getpid()} loaded it")
    threads = [os.environ[f"{library}_NUM_THREADS"] for library in ("OMP", "MKL", "OPENBLAS")]
    return Outcome(0, notes=(loaded, str(os.getpid()), str(station.threads), *threads))


@pytest.fixture(scope="module")
def cluster() -> Iterator[OnWorkers]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # which Dask would prefer
        with OnWorkers(2, None, 3, act) as workers:
            yield workers


def some(*names: str) -> list[Task]:
    return [Task("kmeans", (), name, None, "stem", name) for name in names]


def test_networks_stay_and_threads_are_set(cluster: OnWorkers) -> None:
    """Dask's nanny would give the libraries one thread, whatever the worker has."""
    done = [outcome.notes for _, outcome in cluster.run(some(*"abcdefgh"), lambda task: None)]
    assert len(done) == 8
    assert all(loaded == f"{pid} loaded it" and set(threads) == {"3"} for loaded, pid, *threads in done)
    assert os.environ.get("OMP_NUM_THREADS") != "3"
    assert len({pid for _, pid, *_ in done}) <= 2 and str(os.getpid()) not in {pid for _, pid, *_ in done}


def test_workers_of_others_are_used_and_left_as_they_were(cluster: OnWorkers) -> None:
    scheduler = cluster.client.scheduler
    assert scheduler
    with OnWorkers(0, scheduler.address, 1, act) as guest:
        done = [outcome.notes for _, outcome in guest.run(some(*"abcd"), lambda task: None)]
        own = guest.name
    assert len(done) == 4 and all(threads == "3" for _, _, threads, *_ in done)  # the worker's, not ours
    plugins: Any = cluster.client.run(lambda dask_worker: list(dask_worker.plugins))
    assert all(cluster.name in names and own not in names for names in plugins.values())
    assert len(list(cluster.run(some("e"), lambda task: None))) == 1


def test_a_picture_that_kills_its_worker_is_marked_and_passed_over(cluster: OnWorkers, tmp_path: Path) -> None:
    """Those beside it are done, and one whose worker was killed by somebody else gets a second try."""
    unlucky = f"once {tmp_path / 'died'}"
    tasks = some("a", "poison", "b", unlucky, *"cdef")
    manifest = Manifest(tmp_path)
    with contextlib.closing(manifest), pytest.raises(Exit) as stop:
        Batch(tasks, cluster, Manner(tmp_path, quiet=True), manifest).work_off()
    assert stop.value.exit_code == 8
    found = {entry["photo"]: entry for entry in entries(tmp_path)}
    assert set(found) == {task.photo for task in tasks} and len(entries(tmp_path)) == len(tasks)
    assert {photo for photo, entry in found.items() if entry["status"] != "done"} == {"poison"}
    assert found["poison"]["status"] == "lost" and "died, twice" in found["poison"]["message"]


def test_workers_write_what_one_process_writes(tmp_path: Path) -> None:
    many = photos(tmp_path / "in", *(f"p{number}.png" for number in range(5)))
    (many / "bad.png").write_text("no picture")
    line = [sys.executable, "cli.py", "batch", *QUICK, str(many), "--threads", "1", "--json", "--out-dir"]
    runs = {
        name: subprocess.run(
            [*line, str(tmp_path / name), *more], cwd=ROOT, capture_output=True, text=True, check=False
        )
        for name, more in {"one": [], "two": ["--workers", "2"]}.items()
    }
    one, two = runs["one"], runs["two"]
    assert one.returncode == two.returncode == 8, two.stderr
    assert results(tmp_path / "one") == results(tmp_path / "two") and len(results(tmp_path / "two")) == 4 * 5
    assert sorted(one.stdout.replace("/one/", "/two/").splitlines()) == sorted(two.stdout.splitlines())
    assert {entry["status"] for entry in entries(tmp_path / "two")} == {"done", "failed"}
    assert "bad.png: 'bad.png' is not a picture" in two.stderr and "100 %" in two.stderr
    assert "5 of 6 pictures done" in two.stderr and "Loading" not in two.stderr
    words = json.loads((tmp_path / "two" / NAME).read_text().splitlines()[0])["words"]
    assert "--workers" not in words


def test_an_interruption_waits_for_the_workers_start_and_does_not_reach_them() -> None:
    ask = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    before, child = signal.getsignal(signal.SIGINT), ""
    with pytest.raises(KeyboardInterrupt), _interrupted_after():
        for number in INTERRUPTIONS:
            os.kill(os.getpid(), number)
        child = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout
    assert child == "True\n"
    assert signal.getsignal(signal.SIGINT) is before and not signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with _interrupted_after():
        pass


def test_a_scheduler_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("commands.many.workers.CONNECT_S", 0.3)
    with pytest.raises(UsageError, match="dask scheduler"), OnWorkers(0, "tcp://127.0.0.1:9", 1):
        pass
