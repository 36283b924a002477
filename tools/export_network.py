#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make one network of torchvision with random weights and export it to ONNX, by both exporters of torch.

    export_network.py NETWORK FOLDER

Runs in the environment that check_networks.py makes, which has torch and torchvision. Writes
FOLDER/EXPORTER-BATCH.onnx for the exporters `dynamo` and `script` and the batches `fixed` and `free`, and prints what
failed as one JSON object, file to error.

A network as torchvision makes it shrinks or blows up its input, and its biases are all that is left at the end. So the
weights are drawn anew (He), and BatchNormalization takes its statistics from random images. A deep network of
BatchNormalization around 0 and ReLU is chaotic besides: each layer takes away the half of the signal that is its mean,
and what was rounded before grows by half. So BatchNormalization is around 1 here, where activations bend less.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

SEED = 20261127


def _skip_missing_operators() -> None:
    """Let torchvision's wheel be imported beside the CPU build of torch, for which it lacks its own operators."""
    register = torch.library.register_fake

    def register_fake(op: Any, function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        def skip(body: Callable[..., Any]) -> Callable[..., Any]:
            try:
                register(op, body, **options)
            except RuntimeError as error:
                if "does not exist" not in str(error):
                    raise
            return body

        return skip if function is None else skip(function)

    torch.library.register_fake = register_fake


_skip_missing_operators()
import torchvision  # noqa: E402

MODELS = torchvision.models
SEGMENTATION = MODELS.segmentation
# How a network is made, and the height and width of its images: small, so that all of them are checked in a while.
# AlexNet and VGG need theirs: an adaptive pool behind smaller images is one that ONNX does not have.
NETWORKS: dict[str, tuple[Callable[[], torch.nn.Module], int]] = {
    "alexnet": (MODELS.alexnet, 224),
    "vgg11_bn": (MODELS.vgg11_bn, 224),
    "resnet18": (MODELS.resnet18, 64),
    "resnext50_32x4d": (MODELS.resnext50_32x4d, 64),
    "squeezenet1_1": (MODELS.squeezenet1_1, 64),
    "densenet121": (MODELS.densenet121, 64),
    "mobilenet_v2": (MODELS.mobilenet_v2, 64),
    "mobilenet_v3_small": (MODELS.mobilenet_v3_small, 64),
    "mobilenet_v3_large": (MODELS.mobilenet_v3_large, 64),
    "mnasnet0_5": (MODELS.mnasnet0_5, 64),
    "shufflenet_v2_x1_0": (MODELS.shufflenet_v2_x1_0, 64),
    "efficientnet_b0": (MODELS.efficientnet_b0, 64),
    "efficientnet_v2_s": (MODELS.efficientnet_v2_s, 64),
    "regnet_x_400mf": (MODELS.regnet_x_400mf, 64),
    "regnet_y_400mf": (MODELS.regnet_y_400mf, 64),
    "convnext_tiny": (MODELS.convnext_tiny, 64),
    "googlenet": (lambda: MODELS.googlenet(init_weights=False, aux_logits=False), 64),
    "inception_v3": (lambda: MODELS.inception_v3(init_weights=False, aux_logits=False), 139),
    "deeplabv3_mobilenet_v3_large": (
        lambda: SEGMENTATION.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, aux_loss=True),
        96,
    ),
    "lraspp_mobilenet_v3_large": (
        lambda: SEGMENTATION.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None),
        96,
    ),
    "fcn_resnet50": (lambda: SEGMENTATION.fcn_resnet50(weights=None, weights_backbone=None, aux_loss=True), 64),
    "vit_b_16": (MODELS.vit_b_16, 224),
    "swin_t": (MODELS.swin_t, 64),
}


class Plain(torch.nn.Module):
    """A network whose outputs are tensors, not a dictionary of them."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> Any:
        y = self.network(x)
        return tuple(y.values()) if isinstance(y, dict) else y


def make(name: str) -> tuple[torch.nn.Module, int]:
    """The network in evaluation mode, with random weights that keep its signals alive, and its height and width."""
    build, size = NETWORKS[name]
    torch.manual_seed(SEED)
    network = build().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                torch.nn.init.normal_(module.bias, std=0.05)
        elif isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.0)
            torch.nn.init.normal_(module.bias, mean=1.0, std=0.3)
            module.reset_running_stats()
            module.momentum = None
            module.train()
        elif getattr(module, "weight", None) is not None and getattr(module, "bias", None) is not None:
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
        if hasattr(module, "layer_scale"):
            torch.nn.init.uniform_(module.layer_scale, 0.2, 0.6)
    with torch.no_grad():
        network(torch.randn(8, 3, size, size))
    return Plain(network).eval(), size


def export(network: torch.nn.Module, size: int, path: Path, exporter: str, free: bool) -> None:
    """Write one ONNX file."""
    x = torch.randn(2, 3, size, size)
    with torch.no_grad():
        y = network(x)
    names = [f"y{index}" for index in range(len(y) if isinstance(y, tuple) else 1)]
    options: dict[str, Any] = {"input_names": ["x"], "output_names": names}
    if exporter == "dynamo":
        shapes = {"x": {0: torch.export.Dim("batch")}} if free else None
        options |= {"dynamo": True, "external_data": False, "dynamic_shapes": shapes}
    else:
        options |= {"dynamo": False, "dynamic_axes": {name: {0: "batch"} for name in ("x", *names)} if free else None}
    part = path.with_suffix(".part")
    torch.onnx.export(network, (x,), str(part), verbose=False, **options)
    part.rename(path)


def main() -> None:
    """Export every form of the network that is not there yet."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    warnings.simplefilter("ignore")
    folder.mkdir(parents=True, exist_ok=True)
    network, size = make(name)
    failed = {}
    for exporter in ("dynamo", "script"):
        for batch in ("fixed", "free"):
            path = folder / f"{exporter}-{batch}.onnx"
            if path.exists():
                continue
            try:
                export(network, size, path, exporter, batch == "free")
            except Exception as error:
                failed[path.name] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    print(json.dumps(failed))


if __name__ == "__main__":
    main()
