# SPDX-License-Identifier: Apache-2.0
"""Grey pictures of more than 8 bits (X-ray, depth, thermal), which Pillow's `convert` cuts at 255 without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fewbins.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

FULL_16 = 65535
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # tags of TIFF


def deep_grey(image: Image) -> np.ndarray[Any, np.dtype[np.float32]] | None:
    """Pixels 0..255 with fractions, float32 (H, W), of a grey picture of more than 8 bits; None for any other picture.

    The largest value that the file can hold becomes 255: a 16-bit value v becomes v / 257.

    Raises:
        DataError: 32-bit integers, signed or floating-point pixels, whose range no file states.
    """
    if image.mode.startswith("I;16"):
        tags = getattr(image, "tag_v2", {})
        bits = tags.get(_BITS_PER_SAMPLE, (16,))[0]
        full = (1 << bits) - 1 if 8 < bits <= 16 else FULL_16
        values = np.asarray(image).astype(np.float32)
        if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # Pillow turns these round at 8 bits, but not at 16
            values = full - values
    elif image.mode == "I" and image.format in ("PNG", "PPM"):  # 16-bit PGM; in older Pillow PNG, too
        full, values = FULL_16, np.asarray(image).astype(np.float32)
    elif image.mode in ("I", "F"):
        kind = "floating-point" if image.mode == "F" else "32-bit or signed integer"
        raise DataError(
            f"the pixels are {kind} numbers (Pillow's mode {image.mode}), whose range is unknown; "
            "scale them to 8 or 16 bits, or give arrays in an NPZ file"
        )
    else:
        return None
    pixels: np.ndarray[Any, np.dtype[np.float32]] = values * np.float32(255 / full)
    return pixels
