#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turn the shared image sets (FEWBINS_DATA) into NPZ files that the command line reads.

    tools/convert_data.py cifar10-train --limit 512 -o calibration.npz
    tools/convert_data.py cifar10-test -o test.npz

An NPZ file has `x` float32 (N, C, H, W), preprocessed as the network of the set expects, and `y` int64 labels where the
set has one label per image. The sets, and how the networks score on them, are described beside the data.
"""

from __future__ import annotations

import argparse
import io
import itertools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

DATA = Path(os.environ.get("FEWBINS_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
Set = tuple[np.ndarray, np.ndarray | None]

# ImageNet networks: whether channels are BGR, what is taken off, what it is divided by
IMAGENET = {
    "efficientnet_lite0": (False, (127.0,), 128.0),
    "mobilenet_v2": (False, (127.5,), 127.5),
    "squeezenet": (True, (104.0, 117.0, 123.0), 1.0),
}
PLATE_BLANK = 67


def pictures(archive: Any, key: str, limit: int | None = None) -> list[np.ndarray]:
    """Image files stored one after another under `key`, as uint8 (H, W, 3)."""
    blob, offsets = archive[key], archive["offsets"]
    pairs = list(itertools.pairwise(offsets))[:limit]
    return [np.asarray(Image.open(io.BytesIO(blob[a:b].tobytes())).convert("RGB")) for a, b in pairs]


def cifar10(split: str, limit: int | None = None) -> Set:
    """(N, 3, 32, 32) as the CIFAR ResNets expect, and classes."""
    archive = np.load(DATA / f"cifar10_{split}.npz")
    labels = archive["labels"].astype(np.int64)[:limit]
    sheets = pictures(archive, "sheets", None if limit is None else -(-limit // 500))
    tiles = [s.reshape(-1, 32, 25, 32, 3).transpose(0, 2, 1, 3, 4).reshape(-1, 32, 32, 3) for s in sheets]
    pixels = np.concatenate(tiles)[: len(labels)].astype(np.float32) / 255
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    return np.ascontiguousarray(((pixels - mean) / std).transpose(0, 3, 1, 2)), labels


def imagenet(split: str, network: str, limit: int | None = None) -> Set:
    """(N, 3, 224, 224) as `network` expects, and classes; split "test" (1,000) or "calibration" (300)."""
    bgr, shift, scale = IMAGENET[network]
    archive = np.load(DATA / "imagenet_val_1300.npz")
    pick = np.flatnonzero(archive["split"] == (0 if split == "test" else 1))[:limit]
    files = pictures(archive, "jpeg")
    pixels = np.stack([files[i][2:226, 2:226] for i in pick]).astype(np.float32)
    x = ((pixels[..., ::-1] if bgr else pixels) - np.array(shift, np.float32)) / np.float32(scale)
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2), np.float32), archive["labels"][pick].astype(np.int64)


def plates(limit: int | None = None) -> Set:
    """(N, 3, 24, 94) for lprnet_plate_ocr.onnx; the labels (N, 8) are padded with -1."""
    archive = np.load(DATA / "wild" / "lprnet_plates_1000.npz")
    x = (np.stack(pictures(archive, "jpeg", limit))[..., ::-1].astype(np.float32) - 127.5) / 128
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2), np.float32), archive["labels"][:limit]


def read_plates(scores: np.ndarray) -> list[list[int]]:
    """Greedy CTC: (N, 68, 18) scores to one list of characters per plate."""
    best = scores.argmax(1)
    return [[int(c) for i, c in enumerate(row) if c != PLATE_BLANK and (i == 0 or c != row[i - 1])] for row in best]


def plates_read(scores: np.ndarray, labels: np.ndarray) -> int:
    """How many plates are read without a mistake."""
    wanted = [[int(c) for c in row if c >= 0] for row in labels]
    return sum(got == want for got, want in zip(read_plates(scores), wanted, strict=True))


def notmnist(split: str, limit: int | None = None) -> Set:
    """Printed capitals A..J: (N, 1, 28, 28) in 0..1."""
    archive = np.load(DATA / "notmnist_letters_a_to_j.npz")
    x = archive[f"{split}_images"][:limit, None].astype(np.float32) / 255
    return x, archive[f"{split}_labels"][:limit].astype(np.int64)


def letters(split: str, limit: int | None = None) -> Set:
    """Handwritten a..z: (N, 1, 16, 8) of 0 and 1."""
    archive = np.load(DATA / "ocr_letters_16x8.npz")
    x = archive[f"{split}_images"][:limit, None].astype(np.float32)
    return x, archive[f"{split}_labels"][:limit].astype(np.int64)


SETS: dict[str, Callable[[int | None], Set]] = {
    "plates": plates,
    **{f"cifar10-{s}": lambda n, s=s: cifar10(s, n) for s in ("train", "test")},
    **{f"notmnist-{s}": lambda n, s=s: notmnist(s, n) for s in ("train", "test")},
    **{f"letters-{s}": lambda n, s=s: letters(s, n) for s in ("train", "test")},
    **{
        f"imagenet-{s}-{net}": lambda n, s=s, net=net: imagenet(s, net, n)
        for s in ("calibration", "test")
        for net in IMAGENET
    },
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", choices=list(SETS))
    parser.add_argument("--limit", type=int, help="only the first N images")
    parser.add_argument("-o", "--output", required=True, help="the .npz file to write")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        print(
            f"convert_data: no folder {DATA}; set FEWBINS_DATA to the folder of real networks and images",
            file=sys.stderr,
        )
        return 2
    x, y = SETS[arguments.set](arguments.limit)
    arrays = {"x": x}
    if y is not None and y.ndim == 1:
        arrays["y"] = y
    with open(arguments.output, "wb") as file:
        np.savez(file, **arrays)
    print(f"{arguments.output}: x {x.shape}{f', y {y.shape}' if 'y' in arrays else ''}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
