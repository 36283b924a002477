# SPDX-License-Identifier: Apache-2.0
"""How pixels become a network's input. Stored in the model file, so that `fewbins run photo.jpg` needs no flags."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from fewbins.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

CHANNELS = {"RGB": 3, "BGR": 3, "GRAY": 1}
RESIZES = ("stretch", "shorter", "none")


@dataclass(frozen=True)
class Preprocessing:
    """`x = (pixel - mean) / std` in float32 for pixels 0..255, then channels first.

    Attributes:
        size: height and width of the network's input; None keeps the picture's.
        resize: "stretch" to `size`; "shorter" scales the shorter side to `resize_to` and cuts the centre of `size`;
            "none" only cuts the centre.
        resize_to: length of the shorter side in pixels for "shorter"; by default the larger of `size`.
        channels: "RGB", "BGR" or "GRAY".
        mean: one value per channel, in the order of `channels`, on the scale of 0..255.
        std: likewise.

    Example:
        >>> half = Preprocessing(size=(2, 2), channels="GRAY", mean=(127.5,), std=(127.5,))
        >>> half.array(np.array([[[0], [255]], [[255], [0]]], np.uint8)).tolist()
        [[[-1.0, 1.0], [1.0, -1.0]]]
    """

    size: tuple[int, int] | None = None
    resize: str = "stretch"
    resize_to: int | None = None
    channels: str = "RGB"
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (255.0, 255.0, 255.0)

    def __post_init__(self) -> None:
        if self.channels not in CHANNELS:
            raise DataError(f"preprocessing: channels '{self.channels}' is not one of {', '.join(CHANNELS)}")
        if self.resize not in RESIZES:
            raise DataError(f"preprocessing: resize '{self.resize}' is not one of {', '.join(RESIZES)}")
        if self.size is not None and (len(tuple(self.size)) != 2 or min(self.size) < 1):
            raise DataError(f"preprocessing: size {self.size} must be a height and a width of at least 1")
        if self.resize_to is not None and self.resize_to < 1:
            raise DataError(f"preprocessing: resize_to {self.resize_to} must be at least 1")
        count = CHANNELS[self.channels]
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != count or not all(math.isfinite(v) for v in values):
                raise DataError(f"preprocessing: {name} {values} must be {count} finite numbers for {self.channels}")
        if 0.0 in self.std:
            raise DataError(f"preprocessing: std {self.std} must not hold 0")

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Preprocessing:
        """From a mapping with the fields' names, such as the model file's; unknown names are errors."""
        names = {f.name for f in fields(cls)}
        unknown = sorted(set(row) - names)
        if unknown:
            raise DataError(f"preprocessing: '{unknown[0]}' is not one of {', '.join(sorted(names))}")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
        try:
            return cls(**values)
        except TypeError as error:
            raise DataError(f"preprocessing: {error}") from error

    def to_json(self) -> dict[str, Any]:
        """A mapping that `from_json` takes back."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def array(self, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """uint8 (H, W, C), already of the right size and channel order, to float32 (C, H, W)."""
        if pixels.ndim != 3 or pixels.shape[2] != CHANNELS[self.channels]:
            raise DataError(f"pixels of shape {pixels.shape} are not (height, width, {CHANNELS[self.channels]})")
        x = (pixels.astype(np.float32) - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(x.transpose(2, 0, 1), np.float32)

    def image(self, image: Image) -> np.ndarray[Any, np.dtype[np.float32]]:
        """A Pillow image to float32 (C, H, W)."""
        from PIL import Image as pillow

        image = image.convert("L" if self.channels == "GRAY" else "RGB")
        if self.size is not None:
            height, width = self.size
            if self.resize == "stretch":
                image = image.resize((width, height), pillow.Resampling.BILINEAR)
            else:
                if self.resize == "shorter":
                    ratio = (self.resize_to or max(self.size)) / min(image.size)
                    wanted = (max(1, round(image.width * ratio)), max(1, round(image.height * ratio)))
                    image = image.resize(wanted, pillow.Resampling.BILINEAR)
                left, top = (image.width - width) // 2, (image.height - height) // 2
                if left < 0 or top < 0:
                    raise DataError(f"a picture of {image.width}x{image.height} is smaller than {width}x{height}")
                image = image.crop((left, top, left + width, top + height))
        pixels = np.asarray(image, np.uint8)
        if self.channels == "GRAY":
            pixels = pixels[:, :, None]
        elif self.channels == "BGR":
            pixels = pixels[:, :, ::-1]
        return self.array(pixels)
