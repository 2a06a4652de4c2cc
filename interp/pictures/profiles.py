"""ICC profiles: colours brought to sRGB."""

import io

import numpy as np
from PIL import Image, ImageCms

PROFILE_ROUNDING = 3  # of 255; sRGB profiles of different makers differ by less


def to_srgb(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    """An 8-bit picture as RGB, its colours converted from its profile; adds to the notes."""
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), image.mode, "RGB")
            if image.mode == "RGB" and _changes_nothing(transform):
                return image
            converted = ImageCms.applyTransform(image, transform)
            if converted is not None:
                name = ImageCms.getProfileDescription(source).strip() or "an unnamed profile"
                notes.append(f"colours converted from {name} to sRGB")
                return converted
        except (ImageCms.PyCMSError, OSError, TypeError, ValueError) as error:
            notes.append(f"colour profile ignored ({error})")
    if image.mode not in ("RGB", "L"):
        notes.append(f"colours converted from {image.mode} to RGB")
    return image.convert("RGB")


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform moves no colour of a coarse cube by more than rounding: an sRGB profile by any name."""
    steps = np.linspace(0, 255, 16).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(64, 64, 3)
    moved = np.asarray(ImageCms.applyTransform(Image.fromarray(cube), transform), dtype=np.int16)
    return int(np.abs(moved - cube).max()) <= PROFILE_ROUNDING
