"""Download one file so that an interruption costs nothing: resumed, verified, then renamed. No torch.

Written on the standard library because torch hub's own downloader starts over after an interruption.
"""

import http.client
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from interp.errors import OutputError, WeightsError
from interp.network.known_weights import file_sha256

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30.0
RANGE_NOT_SATISFIABLE = 416


@dataclass(frozen=True)
class FetchEvent:
    """Progress of a download.

    Attributes:
        step: Bytes on the disk, those of an earlier run included.
        total: Bytes of the whole file.
        elapsed_s: Seconds that `step` bytes take at this run's pace.
    """

    step: int
    total: int
    elapsed_s: float


def partial_path(path: Path) -> Path:
    """Where a download lies until it is complete: beside the file, with `.part` added to its name."""
    return path.with_name(path.name + ".part")


def fetch(url: str, path: Path, sha256: str) -> Iterator[FetchEvent]:
    """Download a file, continuing what an earlier run has left; the file appears only whole and verified.

    Args:
        url: What to download, by HTTP or HTTPS.
        path: Where to put it; its folder is made.
        sha256: What its bytes must hash to, in hexadecimal.

    Yields:
        An event for each chunk, unless the server does not tell the size.

    Raises:
        WeightsError: If the server cannot be reached or refuses, the connection breaks, the disk is full, or the bytes
            are not the expected ones. What has arrived is kept for the next run, wrong bytes are not.
        OutputError: If the folder cannot be written to.
    """
    part = partial_path(path)
    by_hand = f"Or download {url} by hand and put it at {str(path)!r}."
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = part.open("ab")
    except OSError as error:
        raise OutputError(
            f"Cannot write into {str(path.parent)!r}: {error.strerror}. Make it writable, or set TORCH_HOME "
            "to another folder."
        ) from error
    try:
        with file:
            yield from _download(url, file, by_hand)
        found = file_sha256(part)
        if found != sha256:
            part.unlink()
            raise WeightsError(
                f"{url} gave bytes with SHA-256 {found[:16]}…, expected {sha256[:16]}…; they were thrown away. "
                f"Run again to start over. {by_hand}"
            )
        try:
            part.replace(path)
        except OSError as error:
            raise OutputError(f"Cannot replace {str(path)!r}: {error.strerror}. Move it away and run again.") from error
    finally:
        if part.exists() and not part.stat().st_size:
            part.unlink()


def _download(url: str, file: BinaryIO, by_hand: str) -> Iterator[FetchEvent]:
    """Append what is missing to an open file."""
    here = file.tell()
    try:
        response = _open(url, here)
        if response is None:
            return
        with response:
            if here and not response.headers.get("Content-Range", "").startswith(f"bytes {here}-"):
                file.truncate(here := 0)  # the server sends the whole file
            total = None if response.length is None else here + response.length
            if total is not None:
                _check_space(Path(file.name), total - here)
            start, started = here, time.monotonic()
            while chunk := response.read(CHUNK_BYTES):
                _write(file, chunk)
                here += len(chunk)
                if total:
                    yield FetchEvent(here, total, (time.monotonic() - started) * here / (here - start))
    except urllib.error.HTTPError as error:
        with error:
            raise WeightsError(f"{url} answers {error.code} {error.reason}. Try again later. {by_hand}") from error
    except (OSError, http.client.HTTPException) as error:  # URLError, time-outs and resets are OSErrors
        reason = getattr(error, "reason", None) or error
        kept = (
            f"The {here / 1e6:.1f} MB that arrived are kept; run again to continue." if here else "Check the network."
        )
        raise WeightsError(f"Cannot download {url}: {reason}. {kept} {by_hand}") from error
    if total is not None and here < total:
        raise WeightsError(
            f"The connection to {url} ended after {here / 1e6:.1f} of {total / 1e6:.1f} MB, which are kept. Run again "
            f"to continue. {by_hand}"
        )


def _open(url: str, here: int) -> http.client.HTTPResponse | None:
    """Ask for everything from byte `here`; None if the server has nothing beyond it."""
    headers = {"User-Agent": "gramscope", "Accept-Encoding": "identity"}
    if here:
        headers["Range"] = f"bytes={here}-"
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if here and error.code == RANGE_NOT_SATISFIABLE:
            error.close()
            return None
        raise


def _check_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < needed:
        raise WeightsError(
            f"{str(part.parent)!r} has {free / 1e6:.0f} MB free, the download needs {needed / 1e6:.0f} MB. Free some "
            "space, or set TORCH_HOME to another folder."
        )


def _write(file: BinaryIO, chunk: bytes) -> None:
    try:
        file.write(chunk)
        file.flush()
    except OSError as error:
        raise WeightsError(
            f"Cannot write {file.name!r}: {error.strerror}. Free some space and run again to continue."
        ) from error
