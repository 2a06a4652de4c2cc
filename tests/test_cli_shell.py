"""The shell around the commands: names, streams, several pictures, the machine. Each case is one kind of fault."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from cli import app
from commands import streams
from commands.outputs import _safe, plan_outputs
from commands.reservation import reserve
from commands.work import THREAD_VARIABLES
from interp.errors import is_out_of_memory

ROOT = Path(__file__).parent.parent


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def start(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, ROOT / "cli.py", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,  # pyright: ignore[reportArgumentType, reportCallIssue]
    )


def finish(*arguments: object, **options: object) -> tuple[int, bytes, str]:
    process = start(*arguments, **options)
    out, error = process.communicate()
    return process.returncode, out, error.decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo with a disc on it, its mask, a painting."""
    place = tmp_path_factory.mktemp("in")
    y, x = np.mgrid[0:72, 0:96]
    inside = (x - 48) ** 2 + (y - 36) ** 2 < 400
    noise = np.random.default_rng(0).integers(0, 30, (72, 96, 3))
    photo = np.where(inside[..., None], (200, 70, 40), (60, 110, 150)) + noise
    Image.fromarray(photo.astype(np.uint8)).save(place / "photo.png")
    Image.fromarray((inside * 255).astype(np.uint8)).save(place / "mask.png")
    Image.fromarray(noise.astype(np.uint8) * 8).save(place / "painting.png")
    return place


def cut(folder: Path, *more: object, photo: str = "photo.png") -> tuple[object, ...]:
    """The quickest command that writes several files: no network."""
    return "segment", folder / photo, "--mask", folder / "mask.png", "--no-report", *more


def test_processes_in_one_folder_never_share_a_name(folder: Path, tmp_path: Path) -> None:
    runs = [start(*cut(folder, "--out-dir", tmp_path, "--json", "--seed", seed)) for seed in range(4)]
    done = [process.communicate() for process in runs]
    assert [process.returncode for process in runs] == [0] * 4, done
    written = [path for out, _ in done for path in json.loads(out)["outputs"].values()]
    assert len(set(written)) == 20 and sorted(written) == sorted(map(str, tmp_path.iterdir()))


def test_one_explicit_output_belongs_to_one_process(folder: Path, tmp_path: Path) -> None:
    hold = reserve(tmp_path, "me")
    assert hold
    code, out, said = finish(*cut(folder, "-o", tmp_path / "me.png"))
    assert (code, out) == (4, b"") and "Another run" in said
    hold.release()
    runs = [start(*cut(folder, "-o", tmp_path / "me.png")) for _ in range(3)]
    for process in runs:
        process.communicate()
    assert sorted(process.returncode for process in runs) == [0, 4, 4]
    assert len(list(tmp_path.iterdir())) == 5  # no trace of the reservation


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib; from commands.reservation import reserve; "
        f"hold = reserve(pathlib.Path({str(tmp_path)!r}), 'cat'); print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout and process.stdout.readline() == b"held\n"
    assert reserve(tmp_path, "cat") is None
    process.kill()
    process.communicate()
    hold = reserve(tmp_path, "cat")
    assert hold
    hold.release()
    assert not list(tmp_path.iterdir())


def test_an_input_of_any_option_is_kept(folder: Path, tmp_path: Path) -> None:
    for name in ("photo.png", "mask.png", "painting.png"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    mask = tmp_path / "r.mask.png"
    mask.write_bytes((folder / "mask.png").read_bytes())
    style = tmp_path / "s.alpha.png"
    style.write_bytes((folder / "mask.png").read_bytes())
    preset = tmp_path / "p.toml"
    preset.write_text("strength = 2.0\n")
    weights = tmp_path / "w.png"
    weights.write_bytes(b"not weights")
    cases = {
        mask: ("stylize", tmp_path / "photo.png", "--mask", mask, "-o", tmp_path / "r.png"),
        style: (
            "stylize",
            tmp_path / "photo.png",
            "--style",
            tmp_path / "painting.png",
            "--style-mask",
            style,
            "-o",
            tmp_path / "s.png",
        ),
        weights: ("featuremaps", tmp_path / "photo.png", "--weights", weights, "-o", weights),
        tmp_path / "painting.png": (
            *("compare", tmp_path / "photo.png", "--also", tmp_path / "painting.png", "--presets", f"default,{preset}"),
            *("-o", tmp_path / "painting.png"),
        ),
    }
    for kept, arguments in cases.items():
        before = kept.read_bytes()
        result = call(*arguments, "--overwrite", "--no-report")
        assert result.exit_code == 4 and "is an input" in result.stderr, result.stderr
        assert kept.read_bytes() == before
    linked = tmp_path / "l.png"
    linked.hardlink_to(mask)
    assert (
        call(*cut(tmp_path, "-o", linked, "--mask", mask)[:2], "--mask", mask, "-o", linked, "--overwrite").exit_code
        == 4
    )
    record = tmp_path / "r.json"
    record.write_text("{}")
    assert call("report", record, "-o", record, "--overwrite").exit_code != 0 and record.read_text() == "{}"


@pytest.mark.parametrize("name", ["CON", "nul.x", "com1", "a" * 300, "what?", "rel:u", "..", "a\nb", "\udcff"])
def test_automatic_names_are_legal_everywhere(name: str, tmp_path: Path) -> None:
    made = _safe(name)
    assert made.split(".")[0].upper() not in ("CON", "NUL", "COM1") and len(made.encode()) <= 81
    plan = plan_outputs("featuremaps", name, {"grid:relu1_1": "png", "grid:relu2_1": "png"}, out_dir=tmp_path)
    for path in plan.paths.values():
        assert not set(path.name) & set('/\\:*?"<>|\n')
        path.touch()
    assert len(list(tmp_path.iterdir())) == 3  # with the hold


@pytest.mark.parametrize("stem", ["b" * 245, "b" * 300, "b" * 251, "a\0b"])
def test_a_name_that_cannot_be_is_said_before_the_work(stem: str, folder: Path, tmp_path: Path) -> None:
    result = call(*cut(folder, "-o", tmp_path / f"{stem}.png"))
    assert result.exit_code == 4 and "Cannot write" in result.stderr and not list(tmp_path.iterdir())
    if "\0" not in stem:  # which no shell can pass, and which old releases of typer stumble over
        assert call("report", folder / "photo.png", "-o", tmp_path / f"{stem}.html").exit_code in (2, 3, 4)


@pytest.mark.parametrize(("suffix", "exact"), [(".webp", True), (".tif", True), (".TIFF", True), (".jpg", False)])
def test_outputs_are_what_their_name_says(suffix: str, exact: bool, folder: Path, tmp_path: Path) -> None:
    result = call("kmeans", folder / "photo.png", "--k", "3", "--no-report", "-o", tmp_path / f"a{suffix}")
    assert result.exit_code == 0, result.stderr
    assert call("kmeans", folder / "photo.png", "--k", "3", "--no-report", "-o", tmp_path / "b.png").exit_code == 0
    with Image.open(tmp_path / f"a{suffix}") as image, Image.open(tmp_path / "b.png") as same:
        assert image.format == {".webp": "WEBP", ".jpg": "JPEG"}.get(suffix, "TIFF")
        assert np.array_equal(np.asarray(image.convert("RGB")), np.asarray(same)) is exact


def test_a_folder_as_output_is_the_out_dir(folder: Path, tmp_path: Path) -> None:
    assert call(*cut(folder, "-o", tmp_path)).exit_code == 0
    assert call(*cut(folder, "-o", f"{tmp_path}/new/")).exit_code == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} < {path.name for path in tmp_path.iterdir()}


def test_a_page_given_for_its_record_is_told_where_the_record_is() -> None:
    result = call("report", "out/a.report.html")
    assert result.exit_code == 2 and "'out/a.report.json'" in result.stderr


def test_a_report_of_an_overwritten_picture_goes_with_it(folder: Path, tmp_path: Path) -> None:
    again = ("segment", folder / "photo.png", "--mask", folder / "mask.png", "-o", tmp_path / "a.png", "--overwrite")
    assert call(*again).exit_code == 0 and (tmp_path / "a.report.html").is_file()
    result = call(*again, "--no-report")
    assert result.exit_code == 0 and "was removed" in result.stderr
    assert not (tmp_path / "a.report.html").exists() and not (tmp_path / "a.report.json").exists()


def test_paths_that_standard_output_cannot_encode(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "łódź.png").write_bytes((folder / "photo.png").read_bytes())
    for encoding in ("cp1252", "utf-8"):
        out_dir = tmp_path / f"絵-{encoding}"
        code, out, said = finish(
            *cut(folder, "--out-dir", out_dir)[:1], tmp_path / "łódź.png", "--mask", folder / "mask.png",
            "--no-report", "--out-dir", out_dir, env={**os.environ, "PYTHONIOENCODING": encoding},
        )  # fmt: skip
        assert code == 0, said
        assert all(Path(os.fsdecode(line)).is_file() for line in out.splitlines()) and len(out.splitlines()) == 5


def test_streams_may_be_closed_or_full(folder: Path, tmp_path: Path) -> None:
    words = " ".join(
        f"'{word}'" for word in ("segment", folder / "photo.png", "--mask", folder / "mask.png", "--no-report")
    )
    gs = f"'{sys.executable}' cli.py"

    def shell(line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", "-c", line], cwd=ROOT, capture_output=True, text=True, check=False)

    closed = shell(f"{gs} segment - --box 1,1,90,60 --out-dir '{tmp_path}/a' <&-")
    assert closed.returncode == 3 and "Standard input is closed" in closed.stderr
    assert shell(f"{gs} {words} --out-dir '{tmp_path}/b' >&- 2>&-").returncode == 0
    assert len(list((tmp_path / "b").iterdir())) == 5
    if Path("/dev/full").exists():
        full = shell(f"{gs} {words} --out-dir '{tmp_path}/c' >/dev/full")
        assert full.returncode == 4 and "results are written" in full.stderr and "Exception ignored" not in full.stderr
        helped = shell(f"{gs} segment --help >/dev/full")
        assert helped.returncode == 4 and "Traceback" not in helped.stderr
        assert shell(f"{gs} {words} --out-dir '{tmp_path}/d' 2>/dev/full").returncode == 0
        assert len(list((tmp_path / "d").iterdir())) == 5


@pytest.mark.parametrize("command", ["kmeans", "segment", "featuremaps", "stylize", "sweep"])
def test_seeds_are_refused_early_where_a_generator_ends(command: str, folder: Path, tmp_path: Path) -> None:
    for seed in (2**31, 2**64, -1):
        result = call(command, folder / "photo.png", "--seed", seed, "--out-dir", tmp_path / "out")
        assert result.exit_code == 2 and "seed" in result.stderr and not (tmp_path / "out").exists()


def test_the_largest_seed_works(folder: Path, tmp_path: Path) -> None:
    result = call("kmeans", folder / "photo.png", "--seed", 2**31 - 1, "--k", "2", "--no-report", "--out-dir", tmp_path)
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize("device", ["cuda", "mps"])
@pytest.mark.parametrize("command", ["featuremaps", "segment", "kmeans", "stylize"])
def test_a_device_that_is_not_there(
    command: str, device: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    result = call(command, folder / "photo.png", "--device", device, "--out-dir", tmp_path / "out")
    assert result.exit_code == 2 and "Here: cpu" in result.stderr and not (tmp_path / "out").exists()


def test_threads_reach_opencv_and_the_blas_without_a_network(folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys, cli\n"
        "try: cli.app(sys.argv[1:])\n"
        "except SystemExit as stop: pass\n"
        "import cv2\n"
        "from threadpoolctl import threadpool_info\n"
        "print(cv2.getNumThreads(), {pool['num_threads'] for pool in threadpool_info() if pool['user_api'] == 'blas'})"
    )
    words = [str(word) for word in cut(folder, "--out-dir", tmp_path, "--threads", "1")]
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.splitlines()[-1] in ("1 {1}", "1 set()"), done.stderr
    assert call(*cut(folder, "--threads", "100000")).exit_code == 2


def test_threads_reach_torch_and_nothing_is_left_to_chance(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "1")  # restored afterwards
    before, opencv = torch.get_num_threads(), cv2.getNumThreads()
    torch.backends.cudnn.allow_tf32 = True
    try:
        result = call(
            "featuremaps", folder / "photo.png", "--size", "64", "--threads", "1", "--no-report", "--out-dir", tmp_path
        )
        assert result.exit_code == 0, result.stderr
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
        cv2.setNumThreads(opencv)
    cudnn = torch.backends.cudnn
    assert (cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == (False, False)
    assert (cudnn.deterministic, cudnn.benchmark) == (True, False)


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (MemoryError(), True),
        (np._core._exceptions._ArrayMemoryError((9,), np.dtype("u1")), True),  # pyright: ignore[reportAttributeAccessIssue]
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried"),
            True,
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 17.4 GB)"), True),
        (RuntimeError("Invalid buffer size: 64.00 GB"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (cv2.error("OpenCV(4.12.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9 bytes"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("expected channels_last memory format"), False),
        (RuntimeError("unsupported memory format option Preserve"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: BaseException, memory: bool) -> None:
    assert is_out_of_memory(error) is memory


def test_out_of_memory_names_an_option_that_is_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from commands.run import Run

    def full(*arguments: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Run, "write", full)
    for command, words in (("kmeans", "export a smaller picture"), ("segment", "smaller picture")):
        result = (
            call(command, folder / "photo.png", "--box", "1,1,90,60", "--out-dir", tmp_path)
            if command == "segment"
            else call(command, folder / "photo.png", "--k", "2", "--out-dir", tmp_path)
        )
        assert result.exit_code == 6 and words in result.stderr and "--size" not in result.stderr


def test_an_option_given_twice_is_refused(folder: Path, tmp_path: Path) -> None:
    twice = call("stylize", folder / "photo.png", "--style", "a.png", "--style", "b.png", "--out-dir", tmp_path)
    assert twice.exit_code == 2 and "--style was given 2 times" in twice.stderr.replace("\n", " ")
    mixed = call("segment", folder / "photo.png", "-o", "a.png", "--output", "b.png")
    assert mixed.exit_code == 2 and "given 2 times" in mixed.stderr
    assert call(*cut(folder, "-q", "-q", "--out-dir", tmp_path)).exit_code == 0


def test_several_photos_and_folders(folder: Path, tmp_path: Path) -> None:
    many = tmp_path / "many"
    many.mkdir()
    for name in ("b.png", "a.png"):
        (many / name).write_bytes((folder / "photo.png").read_bytes())
    (many / "notes.txt").write_text("no picture")
    done = call(
        "segment", many, folder / "photo.png", "--mask", folder / "mask.png", "--out-dir", tmp_path / "o", "--json"
    )
    assert done.exit_code == 0, done.stderr
    stems = [Path(json.loads(line)["outputs"]["mask"]).name for line in done.stdout.splitlines()]
    assert stems == ["a.segment.png", "b.segment.png", "photo.segment.png"] and "3 of 3 pictures done" in done.stderr
    partly = call(
        "segment", many / "a.png", many / "notes.txt", "--mask", folder / "mask.png", "--out-dir", tmp_path / "p"
    )
    assert (
        partly.exit_code == 8 and "1 of 2 pictures done; failed:" in partly.stderr and len(partly.stdout.split()) == 6
    )
    none = call("segment", "x.png", "y.png", "--mask", folder / "mask.png", "--out-dir", tmp_path / "q")
    assert none.exit_code == 3 and none.stdout == ""
    one = call("segment", many, "--mask", folder / "mask.png", "-o", tmp_path / "one.png")
    assert one.exit_code == 2 and "--out-dir" in one.stderr
    empty = tmp_path / "empty"
    empty.mkdir()
    assert call("segment", empty).exit_code == 3


def test_a_second_picture_is_the_painting(folder: Path, tmp_path: Path) -> None:
    quick = ("--region", "all", "--size", "64", "--iterations", "1", "--preset", "draft", "--no-report", "--out-dir")
    told = call("stylize", folder / "photo.png", folder / "painting.png", *quick, tmp_path / "a")
    assert told.exit_code == 0 and "for the painting" in told.stderr, told.stderr
    asked = call("stylise", folder / "photo.png", "--style", folder / "painting.png", *quick, tmp_path / "b")
    assert asked.exit_code == 0 and "photo.stylize-all.png" in asked.stdout, asked.stderr
    assert Path(told.stdout.split()[0]).read_bytes() == Path(asked.stdout.split()[0]).read_bytes()
    three = call("stylize", *[folder / "photo.png"] * 3, *quick, tmp_path / "c")
    assert three.exit_code == 2 and "--style PAINTING" in three.stderr


def test_the_program_is_named_as_it_was_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/gramscope", "segment"])
    assert streams.as_typed("Run `python cli.py weights fetch`.") == "Run `gramscope weights fetch`."
    monkeypatch.setattr(sys, "argv", ["cli.py", "segment"])
    assert streams.as_typed("python cli.py") == "python cli.py"
    code = "import sys; sys.argv = ['gramscope', 'segment', '--help']; import cli; cli.main()"
    helped = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "gramscope segment photo.jpg" in helped.stdout and "cli.py" not in helped.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("stylize", "--region", "all", "--mask", "nosuch.png"),
        ("stylize", "--region", "all", "--prompt", "contrast"),
        ("compare", "--mask", "nosuch.png"),
        ("compare", "--box", "1,1,9,9"),
        ("sweep", "--hints", "nosuch.json"),
        ("sweep", "--feather", "3"),
        ("featuremaps", "--mask", "nosuch.png"),
        ("featuremaps", "--rank", "contrast", "--channels", "1,2", "--box", "1,1,9,9"),
        ("layers", "--width", "0.5"),
    ],
)
def test_options_that_would_do_nothing_are_refused(arguments: tuple[str, ...], folder: Path, tmp_path: Path) -> None:
    result = call(arguments[0], folder / "photo.png", *arguments[1:], "--out-dir", tmp_path / "out")
    assert result.exit_code == 2 and "does nothing" in result.stderr.replace("\n", " "), result.stderr
    assert not (tmp_path / "out").exists()


def test_names_too_long_or_of_no_encoding(folder: Path, tmp_path: Path) -> None:
    for option in ("--mask", "--hints", "--weights"):
        result = call("segment", folder / "photo.png", option, "b" * 300, "--out-dir", tmp_path / "out")
        assert result.exit_code in (2, 3, 5), result.stderr
    assert call("segment", "b" * 300, "--out-dir", tmp_path / "out").exit_code == 3
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    try:
        odd.write_bytes((folder / "photo.png").read_bytes())
    except OSError:
        return  # a file system of names in UTF-8
    result = call("segment", odd, "--mask", folder / "mask.png", "--out-dir", tmp_path / "odd")
    assert result.exit_code == 0, result.stderr
    page = next((tmp_path / "odd").glob("*.html"))
    assert "caf\\udce9.png" in page.read_text("utf-8")


def test_segment_writes_the_cut_out_where_it_is_told_to(folder: Path, tmp_path: Path) -> None:
    result = call(*cut(folder, "-o", tmp_path / "me.webp"))
    assert result.exit_code == 0 and Path(result.stdout.split()[0]) == tmp_path / "me.webp", result.stderr
    mask = np.asarray(Image.open(folder / "mask.png"))
    with Image.open(tmp_path / "me.webp") as image:
        assert image.mode == "RGBA" and ((np.asarray(image)[..., 3] > 127) == (mask > 127)).mean() > 0.97
    with Image.open(tmp_path / "me.mask.png") as written:
        np.testing.assert_array_equal(np.asarray(written), mask)
    flat = call(*cut(folder, "-o", tmp_path / "flat.jpg"))
    assert flat.exit_code == 0 and "on white" in flat.stderr
    with Image.open(tmp_path / "flat.jpg") as image:
        assert np.asarray(image)[0, 0].min() > 245


def test_help_swallows_no_bracket_and_spellings_are_known() -> None:
    helped = CliRunner().invoke(app, ["segment", "--help"], env={"COLUMNS": "200"}).stdout
    assert '"foreground": [[[x, y], ...], ...]' in helped
    assert "--keep-color" in CliRunner().invoke(app, ["stylize", "--help"], env={"COLUMNS": "200"}).stdout
    assert CliRunner().invoke(app, ["maximize", "--help"]).exit_code == 0
