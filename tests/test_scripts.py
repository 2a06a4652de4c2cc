"""scripts/setup, demo and test with fake interpreters: what they say when something fails, what they redo."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

REPOSITORY = Path(__file__).parents[1]
TOOLS = [
    "awk",
    "cat",
    "cksum",
    "cp",
    "df",
    "dirname",
    "grep",
    "head",
    "mkdir",
    "rm",
    "sed",
    "sh",
    "tail",
    "uname",
]

# Acts as an interpreter, as the python of the environment it "makes", and as pip; $FAKE_HOME holds its state.
FAKE_PYTHON = r"""#!/bin/sh
case "$1 $2" in
  '-c import cv2')
    if [ -n "$FAKE_MISSING_LIBRARY" ] && [ ! -e "$FAKE_HOME/headless" ]; then
      echo "ImportError: $FAKE_MISSING_LIBRARY: cannot open shared object file: No such file or directory" >&2
      exit 1
    fi ;;
  '-c '*) echo "${FAKE_VERSION:-3.12} ${FAKE_ABLE:-yes} $FAKE_HOME/bin/${FAKE_NAME:-python3}" ;;
  '-m venv') mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
  '-m pip')
    shift 2
    echo "$*" >>"$FAKE_HOME/pip-calls"
    case "$*" in *opencv-python-headless) : >"$FAKE_HOME/headless" ;; esac
    [ -z "$FAKE_PIP_SAYS" ] || { printf '%s\n' "$FAKE_PIP_SAYS"; exit 1; } ;;
  '-m pytest') shift 6; printf "${0%%/*} <%s>\n" "$@"; exit 5 ;;
  */cli.py*) printf 'out/a.png\nout/a.report.html\n'; shift; printf '<%s>\n' "$@" >&2; exit 8 ;;
esac
"""


@dataclass
class Clone:
    """A copy of the scripts in a folder with a space, and a PATH of plain tools and fakes."""

    root: Path
    home: Path

    def stub(self, name: str, text: str) -> Path:
        path = self.home / "bin" / name
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def run(self, script: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.root / "scripts" / script, *arguments],
            cwd=self.home,
            env={"PATH": str(self.home / "bin"), "FAKE_HOME": str(self.home), **env},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def failure(self, *arguments: str, **env: str) -> str:
        """The one sentence a failing setup ends with; progress lines before it are not sentences of failure."""
        done = self.run("setup", *arguments, **env)
        assert done.returncode == 1
        assert done.stdout == ""
        lines = [line for line in done.stderr.splitlines() if not line.endswith("…")]
        assert len(lines) == 1, done.stderr
        assert lines[0].startswith("setup: ") and lines[0].endswith(".")
        return lines[0]

    @property
    def pip_calls(self) -> list[str]:
        calls = self.home / "pip-calls"
        return calls.read_text().splitlines() if calls.exists() else []

    @property
    def stamp(self) -> Path:
        return self.root / ".venv" / "install.stamp"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    root, home = tmp_path / "a clone", tmp_path / "home"
    shutil.copytree(REPOSITORY / "scripts", root / "scripts")
    for name in ("pyproject.toml", "constraints.txt", "constraints-lowest.txt"):
        shutil.copy(REPOSITORY / name, root)
    (home / "bin").mkdir(parents=True)
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, f"{tool} is not on PATH"
        (home / "bin" / tool).symlink_to(found)
    made = Clone(root, home)
    made.stub("df", "#!/bin/sh\necho Filesystem\necho disk 99999999 0 99999999 0% /\n")
    return made


@pytest.fixture
def ready(clone: Clone) -> Clone:
    clone.stub("python3", FAKE_PYTHON)
    done = clone.run("setup")
    assert done.returncode == 0, done.stderr
    assert len(clone.pip_calls) == 1
    return clone


def test_no_python(clone: Clone) -> None:
    assert "no Python was found" in clone.failure()


def test_python_too_old(clone: Clone) -> None:
    clone.stub("python3", FAKE_PYTHON)
    said = clone.failure(FAKE_VERSION="3.9")
    assert "Python 3.11 or newer is needed, but python3 is Python 3.9" in said


def test_python_variable_is_no_python(clone: Clone) -> None:
    clone.stub("python3", FAKE_PYTHON)
    assert "PYTHON is set to '/nowhere/python'" in clone.failure(PYTHON="/nowhere/python")


def test_no_ensurepip_names_the_package(clone: Clone) -> None:
    clone.stub("python3", FAKE_PYTHON)
    assert "apt install python3.12-venv" in clone.failure(FAKE_ABLE="no")


def test_an_old_python3_does_not_hide_a_newer_python(clone: Clone) -> None:
    clone.stub("python3", FAKE_PYTHON.replace("${FAKE_VERSION:-3.12}", "2.7"))
    clone.stub("python", FAKE_PYTHON)
    done = clone.run("setup", FAKE_NAME="python")
    assert done.returncode == 0, done.stderr


def test_full_disk_is_seen_beforehand_with_a_real_interpreter(clone: Clone) -> None:
    clone.stub("df", "#!/bin/sh\necho Filesystem\necho disk 99999999 0 1500000 99% /\n")
    said = clone.failure(PYTHON=sys.executable)
    assert re.search(r"needs about \d+ GB for a while, and 1 GB are free", said)


def test_unwritable_folder(clone: Clone) -> None:
    clone.stub("python3", FAKE_PYTHON)
    clone.stub("mkdir", "#!/bin/sh\nexit 1\n")
    assert f"{clone.root}/.venv cannot be written" in clone.failure()


UNREACHABLE = (
    "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError('<pip._vendor>: "
    "Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')': /simple/\n"
    "ERROR: No matching distribution found for hatchling<2,>=1.27"
)


@pytest.mark.parametrize(
    ("pip_says", "expected"),
    [
        (UNREACHABLE, "the package index could not be reached"),
        ("ERROR: Could not install: [Errno 28] No space left on device\nmore", "the disk filled up"),
        ("ERROR: No matching distribution found for torch==2.14.1", "has no torch==2.14.1 for Python 3.12"),
        ("ERROR: [Errno 13] Permission denied: 'x'", "may not be written"),
        ("ERROR: ResolutionImpossible\nsee the manual", "exit status 1: ERROR: ResolutionImpossible"),
        ("Killed", "exit status 1: no error was named"),
    ],
    ids=["network", "disk", "missing", "permission", "other", "silent"],
)
def test_a_failing_pip_is_one_sentence_and_a_log(clone: Clone, pip_says: str, expected: str) -> None:
    clone.stub("python3", FAKE_PYTHON)
    said = clone.failure(FAKE_PIP_SAYS=pip_says)
    log = clone.root / ".venv" / "install.log"
    assert expected in said
    assert str(log) in said
    assert pip_says in log.read_text()


def test_second_run_does_nothing(ready: Clone) -> None:
    again = ready.run("setup")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert len(ready.pip_calls) == 1


@pytest.mark.parametrize("cause", ["changed pins", "made by other means"])
def test_a_usable_environment_is_brought_up_to_date(ready: Clone, cause: str) -> None:
    kept = ready.root / ".venv" / "kept"
    kept.touch()
    if cause == "changed pins":
        with (ready.root / "constraints.txt").open("a") as constraints:
            constraints.write("another==1\n")
    else:
        ready.stamp.unlink()
    assert ready.run("setup").returncode == 0
    assert len(ready.pip_calls) == 2
    assert kept.exists()
    assert ready.run("setup").stderr == ""


def test_a_link_to_the_script_is_refused(clone: Clone) -> None:
    link = clone.root / "elsewhere" / "scripts" / "setup"
    link.parent.mkdir(parents=True)
    link.symlink_to(clone.root / "scripts" / "setup")
    clone.root = clone.root / "elsewhere"
    assert f"{clone.root} is not the repository" in clone.failure()
    assert not (clone.root / ".venv").exists()


@pytest.mark.parametrize("cause", ["interrupted", "moved", "other Python"])
def test_an_unusable_environment_is_made_anew(ready: Clone, cause: str) -> None:
    env = {}
    (ready.root / ".venv" / "left over").touch()
    if cause == "interrupted":
        ended = subprocess.Popen(["true"])
        ended.wait()
        ready.stamp.write_text(f"incomplete {ended.pid}\n")
    elif cause == "moved":
        ready.root = ready.root.rename(ready.root.with_name("another place"))
    else:
        env = {"PYTHON": str(ready.stub("python3.13", FAKE_PYTHON.replace(":-3.12}", ":-3.13}")))}
    assert ready.run("setup", **env).returncode == 0
    assert len(ready.pip_calls) == 2
    assert not (ready.root / ".venv" / "left over").exists()


def test_a_failed_install_is_not_taken_for_a_finished_one(ready: Clone) -> None:
    (ready.root / "constraints.txt").write_text("numpy==2\n")
    assert "disk filled up" in ready.failure(FAKE_PIP_SAYS="No space left on device")
    assert ready.run("setup").returncode == 0
    assert len(ready.pip_calls) == 3


def test_two_setups_do_not_meet(ready: Clone) -> None:
    ready.stamp.write_text(f"incomplete {os.getpid()}\n")
    assert f"another setup (process {os.getpid()})" in ready.failure()


def test_opencv_without_desktop_libraries(clone: Clone) -> None:
    clone.stub("python3", FAKE_PYTHON)
    done = clone.run("setup", FAKE_MISSING_LIBRARY="libGL.so.1")
    assert done.returncode == 0, done.stderr
    assert "libGL.so.1 is missing on this machine" in done.stderr
    install, uninstall, replace = clone.pip_calls
    assert install.endswith("-c constraints.txt -e .[dev]")
    assert uninstall.endswith("uninstall --yes opencv-python")
    assert replace.endswith("--force-reinstall --no-deps -c constraints.txt opencv-python-headless")


def test_test_hands_on_arguments_and_status(ready: Clone) -> None:
    done = ready.run("test", "-k", "a b")
    assert done.stdout == ".venv <-k>\n.venv <a b>\n"
    assert done.returncode == 5


def test_browser_installs_chromium(ready: Clone) -> None:
    """Chromium is on the machine, or apt-get brings it, or the user is told to."""
    done = ready.run("test", "browser")
    assert done.returncode == 1 and "apt-get install chromium" in done.stderr
    (ready.home / "bin" / "chromium").touch(mode=0o755)
    done = ready.run("test", "browser", "-x")
    assert done.stdout == ".venv <-m>\n.venv <browser>\n.venv <-x>\n"


def test_lowest_has_an_environment_and_pins_of_its_own(ready: Clone) -> None:
    done = ready.run("test", "lowest", "-k", "lowest")
    assert done.stdout == ".venv-lowest <-k>\n.venv-lowest <lowest>\n"
    assert done.returncode == 5
    assert ready.pip_calls[1].endswith("-c constraints-lowest.txt -e .[dev]")
    (ready.root / "constraints-lowest.txt").write_text("numpy==2\n")
    assert ready.run("setup").stderr == ""
    assert (
        ".venv-lowest up to date with pyproject.toml and constraints-lowest.txt" in ready.run("setup", "lowest").stderr
    )


def test_lowest_takes_the_oldest_python(ready: Clone) -> None:
    assert "Python 3.11 or 3.12 is needed, but python3 is Python 3.13" in ready.failure("lowest", FAKE_VERSION="3.13")
    ready.stub("python3.11", FAKE_PYTHON.replace(":-3.12}", ":-3.11}"))
    assert "for Python 3.11 into .venv-lowest" in ready.run("setup", "lowest").stderr


def test_unknown_environment(clone: Clone) -> None:
    assert "unknown environment 'highest'" in clone.failure("highest")


def test_demo_prints_only_paths_and_hands_on_arguments_and_status(ready: Clone) -> None:
    done = ready.run("demo", "--style", "a b.jpg")
    assert done.stdout == "out/a.png\nout/a.report.html\n"
    assert done.returncode == 8
    arguments = re.findall("<(.*)>", done.stderr)
    assert arguments == ["stylize", "--region", "background", "--out-dir", "out", "--style", "a b.jpg"]
    assert "the picture is out/a.png" in done.stderr
    assert "is out/a.report.html" in done.stderr


def requirements() -> list[Requirement]:
    """What the project and its extras ask for, but the project itself, by which one extra takes in another."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    texts = [*project["dependencies"], *(text for extra in project["optional-dependencies"].values() for text in extra)]
    return [wanted for wanted in map(Requirement, texts) if wanted.name != project["name"]]


def pins(name: str) -> dict[str, str]:
    lines = (REPOSITORY / name).read_text().splitlines()
    found = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert found["opencv-python-headless"] == found["opencv-python"]
    return found


def test_every_dependency_is_pinned_within_its_bounds() -> None:
    for wanted in requirements():
        assert pins("constraints.txt")[wanted.name.lower()] in wanted.specifier, wanted


def test_the_lowest_pins_are_the_floors() -> None:
    for wanted in requirements():
        (floor,) = (bound.version for bound in wanted.specifier if bound.operator == ">=")
        assert Version(pins("constraints-lowest.txt")[wanted.name.lower()]) == Version(floor), wanted
