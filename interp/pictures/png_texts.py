"""A PNG without its texts: Pillow would unpack them only to refuse large ones."""

import zlib

MAX_PROFILE_BYTES = 1 << 26  # printers' profiles have some megabytes
PNG_SIGNATURE, PNG_TEXTS = b"\x89PNG\r\n\x1a\n", (b"tEXt", b"zTXt")


def without_texts(data: bytes) -> tuple[bytes, bytes | None]:
    """A file without the texts, if it is a PNG, and its ICC profile.

    Anything unusual is left for Pillow to judge.
    """
    if not data.startswith(PNG_SIGNATURE):
        return data, None
    kept, profile, place = [PNG_SIGNATURE], None, len(PNG_SIGNATURE)
    while place + 12 <= len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4])
        kind, body = data[place + 4 : place + 8], data[place + 8 : end - 4]
        if end > len(data):
            break
        is_text = kind in PNG_TEXTS or (kind == b"iTXt" and not body.startswith(b"XML:com.adobe.xmp\0\0"))
        if kind == b"iCCP" and profile is None:
            profile = _inflated_profile(body)
        if not is_text and not (kind == b"iCCP" and profile):
            kept.append(data[place:end])
        place = end
    return b"".join([*kept, data[place:]]), profile


def _inflated_profile(body: bytes) -> bytes | None:
    _, _, rest = body.partition(b"\0")
    try:
        unpacking = zlib.decompressobj()
        profile = unpacking.decompress(rest[1:], MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return profile if unpacking.eof else None
