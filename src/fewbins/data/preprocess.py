# SPDX-License-Identifier: Apache-2.0
"""How pixels become a network's input. Stored in the model file, so that `fewbins run photo.jpg` needs no flags."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import InitVar, asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from fewbins.checks import check_mapping, is_word, shown
from fewbins.data.deep_grey import deep_grey
from fewbins.errors import ArgumentError, DataError, ShapeError, warn

if TYPE_CHECKING:
    from PIL.Image import Image

CHANNELS = {"RGB": 3, "BGR": 3, "GRAY": 1}
RESIZES = ("stretch", "shorter", "none")
LAYOUTS = ("NHWC", "NCHW")


@dataclass(frozen=True)
class Preprocessing:
    """`x = (pixel - mean) / std` in float32, then channels first. Pixels, and so mean and std, are on the scale 0..255.

    A picture of 16 bits is brought to 0..255 first. The constants of torchvision and timm are for pixels 0..1: give
    them with `scale=255`, which multiplies them by 255.

    Attributes:
        size: height and width of the network's input; None keeps the picture's.
        resize: "stretch" to `size`; "shorter" scales the shorter side to `resize_to` and cuts the centre of `size`, as
            torchvision's Resize and CenterCrop do; "none" only cuts the centre.
        resize_to: length of the shorter side in pixels for "shorter"; by default the larger of `size`.
        channels: "RGB", "BGR" or "GRAY".
        mean: one value per channel, in the order of `channels`, for pixels 0..255; by default 0.
        std: likewise; by default 255, so that x is 0..1.

    Args:
        scale: what the pixels are divided by before `mean` and `std` apply; these become `mean * scale` and
            `std * scale`, and nothing else keeps `scale`. 255 for constants of pixels 0..1; 1, the default, says that
            they are for 0..255, and given by name also silences the warning below.

    Raises:
        DataError: a field that makes no sense.

    Warns:
        FewbinsWarning: every std is at most 1, which is almost always meant for pixels 0..1.

    Example:
        >>> half = Preprocessing(size=(2, 2), channels="GRAY", mean=(127.5,), std=(127.5,))
        >>> half.array(np.array([[[0], [255]], [[255], [0]]], np.uint8)).tolist()
        [[[-1.0, 1.0], [1.0, -1.0]]]
        >>> Preprocessing(channels="GRAY", mean=(0.5,), std=(0.5,), scale=255) == Preprocessing(
        ...     channels="GRAY", mean=(127.5,), std=(127.5,))
        True
    """

    size: tuple[int, int] | None = None
    resize: str = "stretch"
    resize_to: int | None = None
    channels: str = "RGB"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    scale: InitVar[float | None] = None

    def __post_init__(self, scale: float | None) -> None:
        if not is_word(self.channels, CHANNELS):
            raise DataError(f"preprocessing: channels {shown(self.channels)} is not one of {', '.join(CHANNELS)}")
        if not is_word(self.resize, RESIZES):
            raise DataError(f"preprocessing: resize {shown(self.resize)} is not one of {', '.join(RESIZES)}")
        size: Any = self.size
        if size is not None:
            if not _is_list(size) or len(size) != 2 or not all(map(_is_length, size)):
                raise DataError(f"preprocessing: size {shown(size)} must be a height and a width of at least 1")
            object.__setattr__(self, "size", tuple(map(int, size)))
        if self.resize_to is not None and not _is_length(self.resize_to):
            raise DataError(f"preprocessing: resize_to {shown(self.resize_to)} must be an integer of at least 1")
        if scale is not None and not (_is_number(scale) and scale > 0):
            raise DataError(f"preprocessing: scale {shown(scale)} must be positive, such as 255 for pixels 0..1")
        count = CHANNELS[self.channels]
        for name, default in (("mean", 0.0), ("std", 255.0)):
            given = getattr(self, name)
            if not _is_list(given) or (len(given) not in (0, count)) or not all(map(_is_number, given)):
                raise DataError(
                    f"preprocessing: {name} {shown(given)} must be {count} finite number{'s' * (count > 1)} "
                    f"for {self.channels}, on the scale of pixels 0..255"
                )
            values = tuple(float(v) * (scale or 1.0) for v in given) or (default,) * count
            object.__setattr__(self, name, values)
        if 0.0 in self.std:
            raise DataError(f"preprocessing: std {self.std} must not hold 0")
        if scale is None:
            self._warn_of_units()

    def _warn_of_units(self) -> None:
        """Warn of constants that look as if they were for pixels 0..1.

        Networks that only subtract a mean (std 1, mean about 100) are common, and cannot be meant for 0..1.
        """
        only_subtracts = all(s == 1 for s in self.std) and any(abs(m) > 1 for m in self.mean)
        if all(abs(s) <= 1 for s in self.std) and not only_subtracts:
            warn(
                f"preprocessing: every std is at most 1 ({', '.join(f'{s:g}' for s in self.std)}), as if for pixels "
                "0..1, but pixels are 0..255; add scale 255 if mean and std are for 0..1, scale 1 if they are right"
            )

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Preprocessing:
        """From a mapping, such as a JSON file's.

        Args:
            row: the fields by name, and `scale`.

        Raises:
            DataError: a name that is none, or a value that makes no sense.
        """
        check_mapping("preprocessing", row, "its fields: size, channels, mean, std and the like", optional=False)
        names = {*(f.name for f in fields(cls)), "scale"}
        unknown = sorted(set(row) - names)
        if unknown:
            raise DataError(f"preprocessing: '{unknown[0]}' is not one of {', '.join(sorted(names))}")
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """A mapping that `from_json` takes back."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    def array(self, pixels: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Pixels (H, W, C), already of the right size and channel order, to float32 (C, H, W).

        Args:
            pixels: uint8 0..255, or uint16 0..65535, which is divided by 257 first.

        Raises:
            DataError: another type or rank, or another number of channels.
        """
        if not isinstance(pixels, np.ndarray):
            raise DataError(f"pixels are of type {type(pixels).__name__}; they must be an array (H, W, channels)")
        if pixels.ndim != 3 or pixels.shape[2] != CHANNELS[self.channels]:
            raise DataError(f"pixels of shape {pixels.shape} are not (height, width, {CHANNELS[self.channels]})")
        if pixels.dtype == np.uint8:
            return self._input(pixels.astype(np.float32))
        if pixels.dtype == np.uint16:
            return self._input(pixels.astype(np.float32) / np.float32(257))
        raise DataError(f"pixels are {pixels.dtype}; they must be uint8 (0..255) or uint16 (0..65535)")

    def batch(self, pixels: np.ndarray[Any, np.dtype[Any]], layout: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Pixels of one or more pictures to float32 (N, C, H, W), as the C interface makes them of uint8.

        Args:
            pixels: uint8, of rank 4, or of rank 3 for one picture; of the right size and channel order.
            layout: "NHWC" (as cameras and Pillow have it) or "NCHW". Sizes do not tell it, so it is not guessed.

        Raises:
            ArgumentError: another layout.
            DataError: another type, or pictures that do not fit `channels` and `size`.

        >>> half = Preprocessing(channels="GRAY", mean=(127.5,), std=(127.5,))
        >>> half.batch(np.zeros((5, 4, 6, 1), np.uint8), "NHWC").shape
        (5, 1, 4, 6)
        """
        check_layout(layout)
        if not isinstance(pixels, np.ndarray):
            raise DataError(f"pixels are {shown(pixels)}; give an array of uint8 (0..255)")
        if pixels.dtype != np.uint8:
            raise DataError(f"pixels are {pixels.dtype}; they must be uint8 (0..255)")
        whole = pixels[None] if pixels.ndim == 3 else pixels
        if layout == "NCHW" and whole.ndim == 4:
            whole = whole.transpose(0, 2, 3, 1)
        size = self.size or whole.shape[1:3]
        if whole.ndim != 4 or whole.shape[1:] != (*size, CHANNELS[self.channels]):
            sides = "height and width" if self.size is None else f"{size[0]} x {size[1]}"
            raise DataError(
                f"pixels of shape {pixels.shape} are not {layout} with {CHANNELS[self.channels]} channels "
                f"({self.channels}) and {sides}; pictures of another size must be resized first"
            )
        return self._input(whole.astype(np.float32))

    def image(self, image: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
        """A Pillow image to float32 (C, H, W).

        Grey pictures of 16 bits keep their precision. Palettes, CMYK and the like become RGB as Pillow's `convert` has
        it; alpha is dropped, and the turn that EXIF asks for is not made: both as in torchvision's folders of images.

        Args:
            image: an open `PIL.Image.Image`; it is resized and cut as `resize` says.

        Raises:
            DataError: something else than a Pillow image.
        """
        from PIL import Image as pillow

        if not isinstance(image, pillow.Image):
            remedy = "; Preprocessing.array takes arrays" if isinstance(image, np.ndarray) else ""
            raise DataError(f"the picture is of type {type(image).__name__}; it must be a Pillow image{remedy}")
        grey = deep_grey(image)
        if grey is None:
            image = image.convert("L" if self.channels == "GRAY" else "RGB")
        else:
            image = pillow.fromarray(grey)
        pixels = np.asarray(self._resized(image))
        if pixels.ndim == 2:
            pixels = np.repeat(pixels[:, :, None], CHANNELS[self.channels], axis=2)
        elif self.channels == "BGR":
            pixels = pixels[:, :, ::-1]
        return self._input(pixels.astype(np.float32))

    def _resized(self, image: Image) -> Image:
        """The picture at `size`, in its own mode."""
        from PIL import Image as pillow

        if self.size is None:
            return image
        height, width = self.size
        if self.resize == "stretch":
            return image.resize((width, height), pillow.Resampling.BILINEAR)
        if self.resize == "shorter":
            # Rounded down, as torchvision does, so that both give the same picture.
            wanted, shorter = self.resize_to or max(self.size), min(image.size)
            sides = (max(1, wanted * image.width // shorter), max(1, wanted * image.height // shorter))
            image = image.resize(sides, pillow.Resampling.BILINEAR)
        if image.width < width or image.height < height:
            raise DataError(f"a picture of {image.width}x{image.height} is smaller than {width}x{height}")
        left, top = round((image.width - width) / 2), round((image.height - height) / 2)
        return image.crop((left, top, left + width, top + height))

    def _input(self, pixels: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """float32 pixels 0..255, (..., H, W, C), to the network's (..., C, H, W)."""
        x = (pixels - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(np.moveaxis(x, -1, -3), np.float32)


def check_layout(pixels: object) -> None:
    """Refuse what is no layout of pictures.

    >>> check_layout("HWC")
    Traceback (most recent call last):
    fewbins.errors.ArgumentError: pixels is 'HWC'; name the layout of the pictures, NHWC or NCHW
    """
    if not is_word(pixels, LAYOUTS):
        raise ArgumentError(f"pixels is {shown(pixels)}; name the layout of the pictures, {' or '.join(LAYOUTS)}")


def from_pixels(
    pixels: np.ndarray[Any, np.dtype[Any]], name: str, preprocessing: Preprocessing | None, layout: str | None
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Pictures of uint8, given for a float32 input, as that input; see `Preprocessing.batch`.

    Raises:
        ShapeError: nothing says what the numbers mean: there is no preprocessing, or no layout.
        DataError: they do not fit the preprocessing.
    """
    if preprocessing is None:
        raise ShapeError(
            f"input '{name}' is uint8, and no preprocessing says what the pixels mean; give float32, preprocessed, or "
            "quantize with preprocessing=Preprocessing(...)"
        )
    if layout is None:
        raise ShapeError(
            f"input '{name}' is uint8; say how the pictures lie: pixels='NHWC' or pixels='NCHW'; or give float32, "
            "preprocessed"
        )
    return preprocessing.batch(pixels, layout)


def _is_list(value: object) -> bool:
    return isinstance(value, (tuple, list, np.ndarray))


def _is_length(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and int(value) >= 1


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and math.isfinite(float(value))
