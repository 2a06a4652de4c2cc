"""Downloading on loopback: resumed, verified, atomic; every failure says what to do. And the `weights` command."""

import hashlib
import json
import re
import resource
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import interp.network.fetch
import interp.network.weights
from cli import app
from interp.errors import OutputError, WeightsError
from interp.network.fetch import fetch, partial_path

CONTENT = np.random.default_rng(0).bytes(3_500_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """A file server that can misbehave, and what was asked of it."""

    url: str = ""
    ranges: bool = True
    tells_size: bool = True
    breaks_after: int | None = None
    status: int = 200
    content: bytes = CONTENT
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.asked.append(asked)
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and state.ranges else 0  # pyright: ignore
            if state.status != 200 or (start and start >= len(state.content)):
                self.send_error(state.status if state.status != 200 else 416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(state.content) - 1}/{len(state.content)}")
            if state.tells_size:
                self.send_header("Content-Length", str(len(state.content) - start))
            self.end_headers()
            end = len(state.content) if state.breaks_after is None else state.breaks_after
            self.wfile.write(state.content[start:end])

        def log_message(self, format: str, *args: object) -> None:
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_port}/vgg.pth"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        http.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "hub" / "checkpoints" / "vgg.pth"


def test_whole_file_arrives_verified_and_leaves_no_part(server: Server, target: Path) -> None:
    events = list(fetch(server.url, target, SHA256))
    assert target.read_bytes() == CONTENT and list(target.parent.iterdir()) == [target]
    assert [event.step for event in events] == sorted(event.step for event in events)
    assert events[-1].step == events[-1].total == len(CONTENT) and len(events) > 2


def test_broken_connection_is_resumed_where_it_broke(server: Server, target: Path) -> None:
    server.breaks_after = 2_200_000
    with pytest.raises(WeightsError, match=r"after 2\.2 of 3\.5 MB, which are kept\. Run again"):
        list(fetch(server.url, target, SHA256))
    assert not target.exists() and partial_path(target).read_bytes() == CONTENT[:2_200_000]
    server.breaks_after = None
    first = next(iter(list(fetch(server.url, target, SHA256))))
    assert server.asked == [None, "bytes=2200000-"] and first.step > 2_200_000 and first.total == len(CONTENT)
    assert target.read_bytes() == CONTENT


def test_stopped_reader_keeps_its_part(server: Server, target: Path) -> None:
    events = fetch(server.url, target, SHA256)
    step = next(events).step
    events.close()  # type: ignore[attr-defined] -- what Ctrl-C does to the loop
    assert partial_path(target).read_bytes() == CONTENT[:step]
    list(fetch(server.url, target, SHA256))
    assert target.read_bytes() == CONTENT and server.asked[1] == f"bytes={step}-"


@pytest.mark.parametrize("tells_size", [True, False])
def test_server_without_ranges_starts_over(server: Server, target: Path, tells_size: bool) -> None:
    server.ranges, server.tells_size = False, tells_size
    target.parent.mkdir(parents=True)
    partial_path(target).write_bytes(b"other bytes")
    events = list(fetch(server.url, target, SHA256))
    assert server.asked == ["bytes=11-"] and target.read_bytes() == CONTENT
    assert bool(events) == tells_size


def test_complete_part_is_only_renamed(server: Server, target: Path) -> None:
    target.parent.mkdir(parents=True)
    partial_path(target).write_bytes(CONTENT)
    assert list(fetch(server.url, target, SHA256)) == []
    assert target.read_bytes() == CONTENT


def test_wrong_bytes_are_thrown_away_and_replace_nothing(server: Server, target: Path) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(b"the old one")
    with pytest.raises(WeightsError, match=r"SHA-256 .* expected 0{16}.* thrown away.* by hand .*vgg\.pth"):
        list(fetch(server.url, target, "0" * 64))
    assert target.read_bytes() == b"the old one" and not partial_path(target).exists()


def test_refusal_and_silence_say_what_to_do(server: Server, target: Path) -> None:
    server.status = 404
    with pytest.raises(WeightsError, match=rf"answers 404 .*download {server.url} by hand and put it at '{target}'"):
        list(fetch(server.url, target, SHA256))
    with pytest.raises(WeightsError, match=r"Cannot download .*refused.* Check the network.* by hand"):
        list(fetch("http://127.0.0.1:1/vgg.pth", target, SHA256))
    assert list(target.parent.iterdir()) == []


def test_unwritable_folder_and_full_disk(server: Server, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target.parent.parent.parent.joinpath("file").write_text("not a folder")
    with pytest.raises(OutputError, match="TORCH_HOME"):
        list(fetch(server.url, target.parent.parent.parent / "file" / "vgg.pth", SHA256))
    assert server.asked == []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
    try:
        with pytest.raises(WeightsError, match=r"Cannot write .*run again to continue"):
            list(fetch(server.url, target, SHA256))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    usage = interp.network.fetch.shutil.disk_usage(target.parent)
    monkeypatch.setattr(interp.network.fetch.shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    with pytest.raises(WeightsError, match=r"1 MB free, the download needs 2 MB"):
        list(fetch(server.url, target, SHA256))
    monkeypatch.undo()
    list(fetch(server.url, target, SHA256))
    assert target.read_bytes() == CONTENT


@pytest.fixture
def cached(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The command's cache, with the loopback server in torchvision's place."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(interp.network.weights, "imagenet_url", lambda: server.url)
    monkeypatch.setattr(interp.network.weights, "IMAGENET_SHA256", SHA256)
    return tmp_path / "hub" / "checkpoints" / "vgg19-dcbb9e9d.pth"


def listed(*, auto: str) -> dict[str, dict[str, object]]:
    result = CliRunner().invoke(app, ["weights", "--json"])
    answer = json.loads(result.stdout)
    assert result.exit_code == 0 and answer["auto"] == auto
    return {entry["name"]: entry for entry in answer["weights"]}


def test_command_lists_fetches_once_and_replaces_damage(server: Server, cached: Path) -> None:
    assert interp.network.weights.imagenet_path() == cached
    before = listed(auto="compact")
    assert before["imagenet"]["state"] == "not fetched" and before["imagenet"]["sha256"] == SHA256
    assert before["compact"]["size_bytes"] == interp.network.weights.COMPACT_FILE.stat().st_size
    server.breaks_after = 1_000_000
    failed = CliRunner().invoke(app, ["weights", "fetch"])
    assert failed.exit_code == 5 and failed.stdout == "" and "Run again to continue" in failed.stderr
    assert listed(auto="compact")["imagenet"]["state"] == "partly fetched"
    server.breaks_after = None
    done = CliRunner().invoke(app, ["weights", "fetch"])
    assert done.exit_code == 0 and done.stdout == f"{cached}\n" and "100 %" in done.stderr
    assert listed(auto="imagenet")["imagenet"]["state"] == "fetched"
    again = CliRunner().invoke(app, ["weights", "fetch", "--json", "-q"])
    assert len(server.asked) == 2 and again.stderr == ""
    assert json.loads(again.stdout) == {"command": "weights", "outputs": {"weights": str(cached)}, "record": None}
    cached.write_bytes(b"damaged")
    assert listed(auto="imagenet")["imagenet"]["state"] == "damaged"
    server.status = 503
    assert CliRunner().invoke(app, ["weights", "fetch"]).exit_code == 5 and cached.read_bytes() == b"damaged"
    server.status = 200
    replaced = CliRunner().invoke(app, ["weights", "fetch", "--progress", "none"])
    assert "is damaged" in replaced.stderr and cached.read_bytes() == CONTENT


def test_ctrl_c_says_that_a_second_run_continues(cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Iterator[object]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(interp.network.fetch, "fetch", interrupted)
    result = CliRunner().invoke(app, ["weights", "fetch"])
    assert result.exit_code == 130 and "is kept. Run again to continue" in result.stderr


def test_command_shows_a_table_and_refuses_other_words(cached: Path) -> None:
    table = CliRunner().invoke(app, ["weights"]).stdout.splitlines()
    assert [line.split()[0] for line in table[:4]] == ["name", "compact", "imagenet", "random"]
    assert SHA256[:12] in table[2] and "weights fetch" in table[2] and "auto is compact" in table[-1]
    assert CliRunner().invoke(app, ["weights", "steal"]).exit_code == 2


def test_the_real_url_carries_the_pinned_hash() -> None:
    """Torch hub's names end in the first eight digits of the file's SHA-256."""
    assert interp.network.weights.imagenet_url().endswith(f"/vgg19-{interp.network.weights.IMAGENET_SHA256[:8]}.pth")
    assert interp.network.weights.imagenet_url().rsplit("/")[-1] == interp.network.weights.IMAGENET_FILE
