#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check torchvision's networks from torch to quantized models: `make test-networks`.

    tools/check_networks.py                          all of them, half an hour and more
    tools/check_networks.py resnet18 convnext_tiny   some
    tools/check_networks.py --json > networks.json

Each network, with random weights (export_network.py), is exported by both exporters of torch with a fixed and with a
free batch. Each of the four files is imported; the float engine must equal ONNX Runtime within 1e-4 of the largest
value of each output; the models of `8bit` and `255x33` must run and stay close to the float one. Vision transformers
may be refused instead, by an error that names the nodes.

torch and torchvision are installed once into build/networks-venv, exported files are kept in build/networks.
Exit code 1 when a check fails.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
import venv
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import fewbins
from fewbins.errors import FewbinsError, UnsupportedError

ROOT = Path(__file__).resolve().parents[1]
EXPORT = ROOT / "tools" / "export_network.py"
ENVIRONMENT = ROOT / "build" / "networks-venv"
EXPORTED = ROOT / "build" / "networks"
PACKAGES = ("torch==2.13.0", "onnxscript", "pillow")
TORCHVISION = "torchvision==0.28.*"

NETWORKS = (
    "alexnet", "vgg11_bn", "resnet18", "resnext50_32x4d", "squeezenet1_1", "densenet121", "mobilenet_v2",
    "mobilenet_v3_small", "mobilenet_v3_large", "mnasnet0_5", "shufflenet_v2_x1_0", "efficientnet_b0",
    "efficientnet_v2_s", "regnet_x_400mf", "regnet_y_400mf", "convnext_tiny", "googlenet", "inception_v3",
    "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large", "fcn_resnet50",
)  # fmt: skip
TRANSFORMERS = ("vit_b_16", "swin_t")
FORMS = ("dynamo-fixed", "dynamo-free", "script-fixed", "script-free")
FLOAT_TOLERANCE = 1e-4
CALIBRATION_IMAGES = 8
# Least correlation of a quantized model's outputs with the float model's, worst output; outputs that have nothing to
# do with each other reach 0.1. Random weights are harder than trained ones, since nothing in them is redundant: the
# worst measured of MobileNetV3-small, EfficientNet-B0, ShuffleNetV2 and ConvNeXt-tiny are 0.998 and 0.991.
SCHEMES = {"8bit": 0.98, "255x33": 0.95}


@dataclass
class Result:
    """One exported file.

    Attributes:
        network, form, shape: which file, and the shape of its input.
        nodes: canonical nodes of the imported graph.
        float_error: largest difference from ONNX Runtime as part of the largest value, worst output.
        correlation: with the float model's outputs, by scheme, worst output.
        refused: why the file was refused, where that is allowed.
        failures: what is wrong; empty: all is right.
    """

    network: str
    form: str
    shape: list[Any] = field(default_factory=list)
    nodes: int = 0
    float_error: float = 0.0
    correlation: dict[str, float] = field(default_factory=dict)
    refused: str = ""
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0


def environment() -> Path:
    """The Python that has torch and torchvision, installed when it is missing."""
    python = ENVIRONMENT / "bin" / "python"
    done = ENVIRONMENT / ".installed"
    wanted = " ".join((*PACKAGES, TORCHVISION))
    if not done.exists() or done.read_text() != wanted:
        _say(f"installing {wanted} into {ENVIRONMENT.relative_to(ROOT)}")
        venv.create(ENVIRONMENT, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        # Its dependency is a build of torch for one CUDA version.
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", TORCHVISION], check=True)
        done.write_text(wanted)
    return python


def export(network: str) -> tuple[Path, dict[str, str]]:
    """The folder with the network's files, and why those that are missing could not be exported."""
    version = hashlib.sha256(EXPORT.read_bytes()).hexdigest()[:12]
    folder = EXPORTED / version / network
    if all((folder / f"{form}.onnx").exists() for form in FORMS):
        return folder, {}
    done = subprocess.run([environment(), EXPORT, network, folder], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return folder, {f"{form}.onnx": reason for form in FORMS}
    failed: dict[str, str] = json.loads(done.stdout.strip().splitlines()[-1])
    return folder, failed


def check(network: str, form: str, folder: Path, failed: dict[str, str]) -> Result:
    """Check one exported file."""
    result, started = Result(network, form), time.perf_counter()
    path = folder / f"{form}.onnx"
    if path.name in failed:
        result.failures.append(f"export: {failed[path.name]}")
        return result
    try:
        _check_file(path, result)
    except UnsupportedError as error:
        if network in TRANSFORMERS and error.nodes:
            result.refused = str(error)
        else:
            result.failures.append(str(error))
    except FewbinsError as error:
        result.failures.append(str(error))
    result.seconds = round(time.perf_counter() - started, 1)
    return result


def _check_file(path: Path, result: Result) -> None:
    graph = fewbins.load_onnx(path)
    result.nodes = len(graph.nodes)
    shape = graph.tensors[graph.inputs[0]].shape
    result.shape = list(shape)
    batch = shape[0] if isinstance(shape[0], int) else 3
    rng = np.random.default_rng(1)
    x = rng.standard_normal((batch, *shape[1:])).astype(np.float32)
    runtime = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in runtime.get_outputs()]
    theirs = dict(zip(names, runtime.run(None, {graph.inputs[0]: x}), strict=True))
    plain = _outputs(graph, "float", x, None)
    for name, want in theirs.items():
        peak, got = float(np.abs(want).max()), plain[name]
        if not np.isfinite(want).all() or not 1e-3 < peak < 1e6 or float(want.std()) < 1e-3 * peak:
            result.failures.append(f"{name}: the network's own output says nothing, its largest value is {peak:.3g}")
        if got.shape != want.shape:
            result.failures.append(f"{name}: shape {got.shape}, not {want.shape}")
            continue
        result.float_error = max(result.float_error, float(np.abs(got - want).max()) / peak)
    if not result.float_error <= FLOAT_TOLERANCE:
        result.failures.append(f"float differs from ONNX Runtime by {result.float_error:.2e} of the largest value")
    count = -(-CALIBRATION_IMAGES // batch) * batch
    images = rng.standard_normal((count, *shape[1:])).astype(np.float32)
    for scheme, least in SCHEMES.items():
        ours = _outputs(graph, scheme, x, images)
        worst = min(_correlation(ours[name], plain[name]) for name in plain)
        result.correlation[scheme] = round(worst, 4)
        if not worst >= least:
            result.failures.append(f"{scheme}: correlation {worst:.2f} with float, expected {least:g}")


def _outputs(graph: Any, scheme: str, x: np.ndarray, images: np.ndarray | None) -> dict[str, np.ndarray]:
    model = fewbins.quantize(graph, images, scheme=scheme)
    y = fewbins.Session(model.to_bytes()).run(x)
    return y if isinstance(y, dict) else {graph.outputs[0]: y}


def _correlation(got: np.ndarray, want: np.ndarray) -> float:
    """Pearson's; 0 where a value is not finite, or all are the same."""
    if not np.isfinite(got).all():
        return 0.0
    a, b = (x.astype(np.float64).ravel() - x.mean(dtype=np.float64) for x in (got, want))
    scale = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / scale if scale > 0 else 0.0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _row(result: Result) -> str:
    correlation = " ".join(f"{result.correlation.get(scheme, float('nan')):7.4f}" for scheme in SCHEMES)
    verdict = "; ".join(result.failures) or ("refused" if result.refused else "ok")
    return (
        f"{result.network:<30} {result.form:<13} {'x'.join(map(str, result.shape)):<20} {result.nodes:>5} "
        f"{result.float_error:>9.1e} {correlation} {result.seconds:>6.1f}  {verdict}"
    )


def main() -> int:
    """Check the networks that were asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of: {', '.join((*NETWORKS, *TRANSFORMERS))}")
    parser.add_argument("--forms", default=",".join(FORMS), help="which exported files (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    arguments = parser.parse_args()
    names, forms = arguments.networks or [*NETWORKS, *TRANSFORMERS], arguments.forms.split(",")
    for what, given, known in (("network", names, (*NETWORKS, *TRANSFORMERS)), ("form", forms, FORMS)):
        unknown = [name for name in given if name not in known]
        if unknown:
            parser.error(f"no {what} '{unknown[0]}' (there are: {', '.join(known)})")
    results: list[Result] = []
    for index, name in enumerate(names, 1):
        started = time.perf_counter()
        folder, failed = export(name)
        made = [check(name, form, folder, failed) for form in forms]
        results += made
        wrong = sum(bool(result.failures) for result in made)
        state = f"{wrong} of {len(made)} files FAILED" if wrong else "ok"
        _say(f"[{index}/{len(names)}] {name}: {state}, {time.perf_counter() - started:.0f} s")
    if arguments.json:
        print(json.dumps([asdict(result) for result in results], indent=1))
    else:
        head = " ".join(f"{scheme:>7}" for scheme in SCHEMES)
        print(f"{'network':<30} {'exported':<13} {'input':<20} {'nodes':>5} {'float':>9} {head} {'s':>6}")
        print(*map(_row, results), sep="\n")
    return int(any(result.failures for result in results))


if __name__ == "__main__":
    sys.exit(main())
