# SPDX-License-Identifier: Apache-2.0
"""Quantize a float network: the recipe, step by step.

Fuse what computes together; decide what becomes integer; look at calibration images to give every tensor a scale; round
the weights; repair the biases; write the integer graph. docs/quantization.md explains each step.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from fewbins import __version__
from fewbins.build.correct import LayerOutcome, walk
from fewbins.build.emit import emit
from fewbins.build.plan import Plan, make_plan, resolve_layers
from fewbins.build.weights import LayerWeights, layer_bias, round_weights
from fewbins.calibrate.collect import Progress, Statistics, collect
from fewbins.calibrate.constants import ConstantImages
from fewbins.calibrate.histogram import Histogram
from fewbins.calibrate.images import Images, read_samples
from fewbins.calibrate.observers import check_observer, choose_affine
from fewbins.calibrate.runner import MakeRunner, engine_runner
from fewbins.checks import check_callable, check_flag, check_integer
from fewbins.data import Preprocessing
from fewbins.data.preprocess import check_layout
from fewbins.errors import ArgumentError, CalibrationError
from fewbins.graph import Graph
from fewbins.model import QuantizedModel
from fewbins.network import Network, as_graph, class_names
from fewbins.numerics import Affine, flush_subnormals
from fewbins.passes.fold_batchnorm import fold_batchnorm
from fewbins.passes.fold_constants import fold_constants
from fewbins.passes.fold_input import fold_input
from fewbins.passes.fold_pad import fold_pad
from fewbins.passes.fold_scale import fold_scale
from fewbins.passes.fuse_activation import WEIGHTED, fuse_activation
from fewbins.passes.fuse_residual import fuse_residual
from fewbins.passes.slice_weights import can_slice_weights, slice_weights
from fewbins.scheme import Scheme

_LOG = logging.getLogger("fewbins")

QUIET = 0.25
"""A slice of channels whose range is below this part of the whole layer's gets a scale of its own."""

MEASURE_IMAGES = 32
"""How many images tell the noise behind each layer where no biases are to be repaired."""


def quantize(
    graph: Network,
    images: Images | None = None,
    *,
    scheme: str | Scheme = "8bit",
    observer: str = "mse",
    bias_correction: bool = True,
    preprocessing: Preprocessing | Mapping[str, Any] | None = None,
    pixels: str | None = None,
    labels: Sequence[str] | None = None,
    seed: int = 0,
    provenance: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    make_runner: MakeRunner = engine_runner,
) -> QuantizedModel:
    """Quantize a float graph to few-bin integers, from unlabelled images.

    Args:
        graph: what load_onnx returned, or what it takes: the path of an .onnx file, its bytes, a parsed model.
        images: calibration data, float32 of shape (N, C, H, W), preprocessed as for inference; 100 to 500 images are
            usual. An array, a pair (x, y) whose labels are not read, a mapping by input name, a list or iterator of
            these, a torch DataLoader or tf.data-like iterable, a callable that returns any of them, or the path of an
            NPZ file or of a folder of pictures (which needs `preprocessing`). Walked once. Not needed where no layer
            has integer activations.
        scheme: bins per layer, e.g. "255x33,first=8bit,last=8bit", or a Scheme; the grammar is in docs/schemes.md.
        observer: how ranges are chosen: "mse" (least squared error), "minmax" or "percentile" (all but 0.01 %).
        bias_correction: make the mean of every channel what it is in the float network.
        pixels: where the images are pictures of uint8, which `preprocessing` makes inputs of: how they lie, "NHWC" or
            "NCHW".
        preprocessing: travels with the model; a mapping is one of its fields. Units: docs/data.md.
        labels: class names in the order of the outputs, travel with the model.
        seed: of the draw of images for bias correction, where there are more than it uses.
        provenance: more to write into the model file, such as where the float network came from.
        progress: called as `(done, total, stage)`; total is None where nobody knows it.
        make_runner: how the float network is run; the engine by default.

    Returns:
        A model that `Session` runs; its `report()` lists the noise of every layer.

    Raises:
        ArgumentError: an argument of a wrong type.
        DataError: another number of labels than the network has classes.
        SchemeError: the scheme is not in the grammar, selects no layer, or does not fit a layer.
        CalibrationError: images that are missing, of a wrong shape or type, or not finite; an accumulator that may
            overflow. The message names the input or the layer.

    Warns:
        FewbinsWarning: calibration images that hold nothing but a single value.

    Logs to `logging.getLogger("fewbins")`: stages at INFO, what was chosen for each tensor and layer at DEBUG.

    Example:
        model = fewbins.quantize("resnet18.onnx", images, scheme="255x33,first=8bit,last=8bit")
        print(model.report())
        model.save("resnet18.fewbins")

    Source: docs/numerics.md; Krishnamoorthi 2018, section 3, for the outline.
    """
    check_observer(observer)
    check_flag("bias_correction", bias_correction)
    check_callable("make_runner", make_runner, "a graph", optional=False)
    if pixels is not None:
        check_layout(pixels)
    parsed = scheme if isinstance(scheme, Scheme) else Scheme.parse(scheme)
    preprocessing = _checked(preprocessing, seed, provenance, progress)
    graph = as_graph(graph)
    labels = class_names(labels, graph)
    fused = prepare(graph)
    _LOG.info("%r: %d nodes after folding and fusing, scheme %s", graph.name, len(fused.nodes), parsed)
    layers = resolve_layers(fused, parsed)
    plan = make_plan(fused, layers, parsed.base)
    statistics = _statistics(plan, images, preprocessing, pixels, make_runner, bias_correction, seed, progress)
    quiet = _quiet_slices(plan, statistics)
    if quiet:
        layers |= {name: layers[host] for name, host in quiet.items()}
        fused = slice_weights(fused, quiet)
        plan = make_plan(fused, layers, parsed.base)
    affines, adapters = _affines(plan, statistics, observer)
    for name, affine in affines.items():
        _LOG.debug(
            "tensor %r: scale %g, zero point %d, %d bins", name, affine.scale, affine.zero_point, affine.levels.bins
        )
    _LOG.info("rounding the weights of %d layers", sum(layer.kind != "float" for layer in layers.values()))
    weights = _weights(plan, affines, adapters, observer, progress)
    outcomes: dict[str, LayerOutcome] = {}
    walked = 0
    if statistics.sample:
        _LOG.info("%s every layer", "correcting the biases of" if bias_correction else "measuring")
        outcomes, walked = walk(
            plan, affines, adapters, weights, statistics, make_runner, correct=bias_correction, progress=progress
        )
    biases = {
        node.name: outcomes[node.name].bias if node.name in outcomes else layer_bias(fused, node)
        for node in fused.nodes
        if node.op in WEIGHTED
    }
    quantized = emit(plan, affines, adapters, weights, biases)
    calibration = {
        "images": statistics.count,
        "input_shapes": [list(statistics.shapes[name]) for name in fused.inputs if statistics.shapes],
        **({"one_at_a_time": statistics.alone} if statistics.alone else {}),
        "observer": observer,
        "bias_correction": bool(bias_correction and outcomes),
        "bias_correction_images": walked if bias_correction else 0,
        "seed": seed,
    }
    origin = {
        "fewbins": __version__,
        "calibration": calibration if statistics.count else None,
        "raised_channels": sum(layer.raised for layer in weights.values()),
        **(provenance or {}),
    }
    rows = _rows(plan, affines, adapters, weights, outcomes)
    for row in rows:
        _LOG.debug("layer %r: %s, output %s dB", row["name"], row["scheme"], row["output_sqnr_db"])
    _LOG.info("quantized %d layers, %d images", len(rows), statistics.count)
    return QuantizedModel(quantized, str(parsed), preprocessing, labels, origin, rows)


def _checked(
    preprocessing: Preprocessing | Mapping[str, Any] | None, seed: object, provenance: object, progress: object
) -> Preprocessing | None:
    """Refuse arguments of a wrong type before anything takes time; the preprocessing as an object."""
    check_integer("seed", seed, 0)
    check_callable("progress", progress, "(done, total, stage)")
    try:
        if not isinstance(provenance or {}, Mapping):
            raise TypeError(f"{type(provenance).__name__} is not a mapping")
        json.dumps(dict(provenance or {}), allow_nan=False)  # type: ignore[call-overload]
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"provenance must be a mapping that JSON can hold ({error})") from error
    if preprocessing is None or isinstance(preprocessing, Preprocessing):
        return preprocessing
    if isinstance(preprocessing, Mapping):
        return Preprocessing.from_json(preprocessing)
    raise ArgumentError(
        f"preprocessing is of type {type(preprocessing).__name__}; give a fewbins.Preprocessing or a dict of its fields"
    )


def prepare(graph: Graph) -> Graph:
    """The float graph as it is quantized, and as the scheme "float" runs it: folded and fused."""
    for step in (fold_batchnorm, fold_constants, fold_pad, fold_input, fold_scale, fuse_activation, fuse_residual):
        graph = step(graph)
    return fuse_activation(graph).validate()


def _statistics(
    plan: Plan,
    images: Images | None,
    preprocessing: Preprocessing | None,
    pixels: str | None,
    make_runner: MakeRunner,
    bias_correction: bool,
    seed: int,
    progress: Progress | None,
) -> Statistics:
    rounded = any(layer.kind != "float" for layer in plan.layers.values())
    if images is None and plan.groups:
        raise CalibrationError(
            "the scheme needs calibration images for its integer activations; give 100 to 500 images, "
            "or a scheme without them, such as float or w255"
        )
    if images is None or not (rounded or plan.groups):
        return Statistics({})
    tensors = {name for names in plan.observed().values() for name in names}
    tensors |= {adapter.tensor for adapter in plan.adapters.values()}
    for members in plan.members().values():
        # A group that may be cut apart later: see _quiet_slices.
        if any(can_slice_weights(plan.graph, producer) for producer in map(plan.graph.producer, members) if producer):
            tensors.update(name for name in members if not plan.graph.tensors[name].is_constant)
    _LOG.info("calibrating %d tensors", len(tensors))
    constants = ConstantImages(plan.graph)
    statistics = collect(
        plan.graph,
        constants.watch(read_samples(images, plan.graph, preprocessing, pixels)),
        sorted(tensors),
        make_runner(plan.graph),
        **({} if bias_correction else {"sample_limit": MEASURE_IMAGES}),
        seed=seed,
        progress=progress,
    )
    constants.warn()
    return statistics


def _quiet_slices(plan: Plan, statistics: Statistics) -> dict[str, str]:
    """Slices of a layer's channels whose values are much smaller than the layer's: Slice node -> the layer.

    They would have to use the layer's scale. As layers of their own they get theirs.
    """
    found = {}
    for node in plan.graph.nodes:
        if not (plan.is_integer(node) and can_slice_weights(plan.graph, node)):
            continue
        whole, part = statistics.histograms[node.inputs[0]], statistics.histograms[node.output]
        host = plan.graph.producer(node.inputs[0])
        if host is not None and part.max - part.min < QUIET * (whole.max - whole.min):
            found[node.name] = host.name
    return found


def _affines(plan: Plan, statistics: Statistics, observer: str) -> tuple[dict[str, Affine], dict[str, Affine]]:
    """The affine of every tensor with levels, and of every adapter."""
    of_group = {}
    for group, tensors in plan.observed().items():
        histogram = Histogram()
        for name in tensors:
            histogram.merge(statistics.histograms[name])
        of_group[group] = choose_affine(histogram, plan.levels[group], observer=observer, po2=group in plan.po2)
    affines = {tensor: of_group[group] for tensor, group in plan.groups.items()}
    adapters = {
        node: choose_affine(statistics.histograms[a.tensor], a.levels, observer=observer, po2=a.po2)
        for node, a in plan.adapters.items()
    }
    return affines, adapters


def _weights(
    plan: Plan,
    affines: Mapping[str, Affine],
    adapters: Mapping[str, Affine],
    observer: str,
    progress: Progress | None,
) -> dict[str, LayerWeights]:
    rounded = {}
    nodes = [node for node in plan.graph.nodes if node.op in WEIGHTED and plan.layers[node.name].kind != "float"]
    for node in nodes:
        scale_a = scale_y = None
        if plan.is_integer(node):
            scale_a = float(adapters.get(node.name, affines[node.inputs[0]]).scale)
            scale_y = float(affines[node.output].scale) if plan.has_levels(node.output) else None
        rounded[node.name] = round_weights(plan, node, scale_a, scale_y, observer)
        if progress is not None:
            progress(len(rounded), len(nodes), "round weights")
    return rounded


def _rows(
    plan: Plan,
    affines: Mapping[str, Affine],
    adapters: Mapping[str, Affine],
    weights: Mapping[str, LayerWeights],
    outcomes: Mapping[str, LayerOutcome],
) -> list[dict[str, Any]]:
    rows = []
    for node in plan.graph.nodes:
        if node.op not in WEIGHTED:
            continue
        layer, rounded, outcome = plan.layers[node.name], weights.get(node.name), outcomes.get(node.name)
        integer = plan.is_integer(node)
        read = adapters.get(node.name, affines[node.inputs[0]]) if integer else None
        written = affines.get(node.output) if integer else None
        size = flush_subnormals(plan.graph.constant(node, "weight")).nbytes if rounded is None else rounded.data.nbytes
        rows.append(
            {
                "name": node.name,
                "op": node.op,
                "scheme": str(layer),
                "input_bins": None if read is None else read.levels.bins,
                "weight_bins": None if layer.weight is None else 16 if layer.kind == "lut4" else layer.weight.bins,
                "output_bins": None if written is None else written.levels.bins,
                "weight_sqnr_db": None if rounded is None else _finite(rounded.sqnr_db),
                "output_sqnr_db": None if outcome is None else _finite(outcome.sqnr_db),
                **_output_note(outcome),
                "corrected_channels": 0 if outcome is None else outcome.corrected,
                "raised_channels": 0 if rounded is None else rounded.raised,
                "weight_bytes": (size + 1) // 2 if layer.kind == "lut4" else size,
            }
        )
    return rows


def _output_note(outcome: LayerOutcome | None) -> dict[str, str]:
    """Why a row has no decibels of its output; nothing where it has."""
    if outcome is None:
        return {"output_note": "not measured"}
    if outcome.is_zero:
        return {"output_note": "all zero"}
    return {} if math.isfinite(outcome.sqnr_db) else {"output_note": "exact"}


def _finite(decibels: float) -> float | None:
    """For a JSON report: None where nothing was lost."""
    return round(decibels, 2) if math.isfinite(decibels) else None


__all__ = ["prepare", "quantize"]
