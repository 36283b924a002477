#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Accuracy of the real networks of FEWBINS_DATA after quantization, beside their float accuracy.

    tools/measure_accuracy.py                                  all networks and schemes of the README
    tools/measure_accuracy.py --nets resnet20 --schemes 8bit,23x23 --json

Calibration uses training images (CIFAR-10: the first 512; ImageNet: the 300 of the calibration split; the plates, whose
set has no other images: the first 200 of the 1,000 that are also measured). In bins schemes the CIFAR networks keep
their first and last layer at 8bit.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache

import convert_data
import numpy as np

import fewbins

SCHEMES = ("8bit", "255x33", "23x23")


@dataclass(frozen=True)
class Network:
    """A network, its images, and how many of them it gets right."""

    file: str
    calibration: Callable[[], convert_data.Set]
    test: Callable[[], convert_data.Set]
    right: Callable[[np.ndarray, np.ndarray], int]
    schemes: tuple[str, ...]
    ends_8bit: bool = True


@dataclass(frozen=True)
class Result:
    """One row: `drop_points` is float minus quantized, in percent of the images."""

    net: str
    scheme: str
    images: int
    float_right: int
    right: int
    drop_points: float
    agreement_percent: float
    size_bytes: int
    quantize_seconds: float


def top1(scores: np.ndarray, labels: np.ndarray) -> int:
    """How many images get their class."""
    return int((scores.argmax(1) == labels).sum())


def _cifar(name: str) -> Network:
    return Network(
        f"{name}.onnx", lambda: convert_data.cifar10("train", 512), lambda: convert_data.cifar10("test"), top1, SCHEMES
    )


def _imagenet(name: str, file: str) -> Network:
    sets = [lambda s=s: convert_data.imagenet(s, name) for s in ("calibration", "test")]
    return Network(file, sets[0], sets[1], top1, ("8bit", "255x33"), ends_8bit=False)


NETWORKS = {
    "resnet20": _cifar("resnet20"),
    "resnet32": _cifar("resnet32"),
    "resnet56": _cifar("resnet56"),
    "efficientnet_lite0": _imagenet("efficientnet_lite0", "efficientnet_lite0_224.onnx"),
    "mobilenet_v2": _imagenet("mobilenet_v2", "mobilenet_v2_1.0_224_f16.onnx"),
    "squeezenet": _imagenet("squeezenet", "squeezenet1.1_f16.onnx"),
    "lprnet": Network(
        "wild/lprnet_plate_ocr.onnx",
        lambda: convert_data.plates(200),
        convert_data.plates,
        convert_data.plates_read,
        ("8bit",),
        ends_8bit=False,
    ),
}


def scheme_for(net: str, scheme: str) -> str:
    """The scheme string: first and last layer 8bit where the network's rule asks for it."""
    return f"{scheme},first=8bit,last=8bit" if NETWORKS[net].ends_8bit and scheme != "8bit" else scheme


def outputs(model: fewbins.QuantizedModel, x: np.ndarray, batch: int = 50) -> np.ndarray:
    """The network's first output for all images."""
    session = fewbins.Session(model)
    return np.concatenate([session.run(x[i : i + batch]) for i in range(0, len(x), batch)])


@cache
def graph_of(net: str) -> fewbins.Graph:
    """The imported network."""
    return fewbins.load_onnx(convert_data.DATA / NETWORKS[net].file)


@cache
def test_set(net: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels that accuracy is measured on."""
    x, y = NETWORKS[net].test()
    assert y is not None
    return x, y


@cache
def float_outputs(net: str) -> np.ndarray:
    """What the float network gives for the test set, from our own float engine."""
    return outputs(fewbins.quantize(graph_of(net), scheme="float"), test_set(net)[0])


def measure(net: str, scheme: str) -> Result:
    """Quantize on the calibration images, run on the test images."""
    network = NETWORKS[net]
    x, y = test_set(net)
    reference = float_outputs(net)
    start = time.perf_counter()
    model = fewbins.quantize(graph_of(net), network.calibration()[0], scheme=scheme_for(net, scheme))
    seconds = time.perf_counter() - start
    scores = outputs(model, x)
    float_right, right = network.right(reference, y), network.right(scores, y)
    return Result(
        net,
        scheme_for(net, scheme),
        len(x),
        float_right,
        right,
        100 * (float_right - right) / len(x),
        float(100 * (scores.argmax(1) == reference.argmax(1)).mean()),
        len(model.to_bytes()),
        seconds,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", help=f"comma-separated; of {', '.join(NETWORKS)}")
    parser.add_argument("--schemes", help="comma-separated schemes without commas; each network's own by default")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    nets = arguments.nets.split(",") if arguments.nets else list(NETWORKS)
    unknown = [net for net in nets if net not in NETWORKS]
    if unknown or not convert_data.DATA.is_dir():
        what = f"network '{unknown[0]}' is unknown" if unknown else f"no folder {convert_data.DATA}; set FEWBINS_DATA"
        print(f"measure_accuracy: {what}", file=sys.stderr)
        return 2
    rows = []
    if not arguments.json:
        print("| network | scheme | images | float right | right | drop, points | agreement % | kB | quantize, s |")
        print("|---|---|--:|--:|--:|--:|--:|--:|--:|")
    for net in nets:
        for scheme in arguments.schemes.split(",") if arguments.schemes else NETWORKS[net].schemes:
            row = measure(net, scheme)
            rows.append(asdict(row))
            if not arguments.json:
                print(
                    f"| {net} | {row.scheme} | {row.images} | {row.float_right} | {row.right} | {row.drop_points:.2f} "
                    f"| {row.agreement_percent:.1f} | {row.size_bytes / 1000:.0f} | {row.quantize_seconds:.0f} |",
                    flush=True,
                )
    if arguments.json:
        print(json.dumps({"schema": "fewbins.accuracy/1", "rows": rows}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
