# SPDX-License-Identifier: Apache-2.0
"""Run quantized models on this machine and on emulated ARM CPUs: every activation must be the same, bit for bit.

    python tools/check_arm_models.py PROGRAM COMMAND [COMMAND ...]

PROGRAM is fewbins-run of this machine; a COMMAND is another one with its emulator, as one argument. The models are the
digits network and random ones, at schemes that reach every kind of product and every rule of requantization. All layers
with weights are integers, so float tensors are equal too.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import fewbins

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from random_graphs import random_model  # noqa: E402

SCHEMES = ["8bit", "255x33", "23x23:fixed", "64x29:shift", "lut4", "u4"]
RANDOM_MODELS = range(6)
BATCH = 3


Feed = dict[str, np.ndarray]


def networks(folder: Path) -> Iterator[tuple[str, fewbins.Graph, Feed, Feed, list[str]]]:
    """Name, graph, calibration data, inputs and schemes of every network."""
    digits = [np.random.default_rng(seed).uniform(0, 1, (16, 1, 8, 8)).astype(np.float32) for seed in (1, 2)]
    graph = fewbins.load_onnx(ROOT / "examples" / "digits.onnx")
    yield "digits", graph, {"image": digits[0]}, {"image": digits[1][:BATCH]}, SCHEMES
    for seed in RANDOM_MODELS:
        model = random_model(seed)
        path = folder / f"random{seed}.onnx"
        path.write_bytes(model.proto.SerializeToString())
        schemes = sorted({"255x33", SCHEMES[(seed + 1) % 4]})
        yield path.stem, fewbins.load_onnx(path), model.feed(16, 1), model.feed(BATCH, 2), schemes


def make_models(folder: Path) -> list[tuple[Path, list[Path]]]:
    """Write model files and the inputs of each; return their paths."""
    made = []
    for name, graph, calibration, feed, schemes in networks(folder):
        # A random network may have an input that nothing reads: a program is not asked for it.
        inputs = [folder / f"{name}_{key}.npy" for key in graph.inputs]
        for path, key in zip(inputs, graph.inputs, strict=True):
            np.save(path, feed[key])
        for scheme in schemes:
            made.append((folder / f"{name}_{scheme.replace(':', '_')}.fewbins", inputs))
            fewbins.quantize(graph, calibration, scheme=scheme).save(made[-1][0])
    return made


def activations(command: list[str], model: Path, inputs: list[Path], folder: Path) -> dict[str, bytes]:
    """Run a model and return the NumPy file of every activation."""
    folder.mkdir(parents=True)
    command = [*command, str(model), "--threads", "1", "--dump", str(folder), "--input", *map(str, inputs)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.npy"))}


def main() -> None:
    program, *commands = (shlex.split(text) for text in sys.argv[1:])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = make_models(folder)
        compared = 0
        for model, inputs in models:
            wanted = activations(program, model, inputs, folder / "here" / model.stem)
            compared += len(wanted)
            for number, command in enumerate(commands):
                got = activations(command, model, inputs, folder / str(number) / model.stem)
                wrong = [tensor for tensor in wanted | got if got.get(tensor) != wanted.get(tensor)]
                if wrong:
                    sys.exit(f"{model.name}: {wrong[0]} differs under {shlex.join(command)}")
    print(f"{len(models)} models, {compared} activations: the same bits on {len(commands)} ARM CPUs")


if __name__ == "__main__":
    main()
