# SPDX-License-Identifier: Apache-2.0
"""One pass over the calibration images: a histogram for each tensor, and a bounded sample of the images.

Memory does not grow with the number of images: histograms have a fixed size, batches a fixed number of bytes, and the
sample (what later steps that need the images again work from) is a reservoir with a limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fewbins.calibrate.batch import batch_size, can_join, is_free, joined
from fewbins.calibrate.histogram import Histogram
from fewbins.calibrate.images import Sample
from fewbins.calibrate.runner import Runner
from fewbins.errors import CalibrationError, ShapeError, warn
from fewbins.graph import Graph
from fewbins.ops.shapes import show

Array = np.ndarray[Any, np.dtype[Any]]
Progress = Callable[[int, int | None, str], None]
"""`(done, total, stage)`; total is None where nobody knows it yet."""

BATCH_BYTES = 64 << 20
"""About how many bytes of traced activations one batch may take."""

VALUES_PER_SAMPLE = 16384
"""How many values of one tensor and one sample a histogram counts; smallest and largest are of all of them."""

SAMPLE_IMAGES = 512
SAMPLE_BYTES = 256 << 20


@dataclass
class Statistics:
    """What one pass over the images leaves.

    Attributes:
        histograms: by tensor name.
        shapes: of every activation for one sample.
        sample: a reservoir of samples, uniformly drawn from all those with the shapes of the first.
        count: how many samples there were.
        alone: why samples are run one at a time although the batch is free; "" where they can be joined.
    """

    histograms: dict[str, Histogram]
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    sample: list[Sample] = field(default_factory=list)
    count: int = 0
    alone: str = ""


def collect(
    graph: Graph,
    samples: Iterable[Sample],
    tensors: Sequence[str],
    run: Runner,
    *,
    sample_limit: int = SAMPLE_IMAGES,
    seed: int = 0,
    progress: Progress | None = None,
) -> Statistics:
    """Trace the float graph over all samples.

    Args:
        graph: the float graph that `run` runs.
        samples: from `read_samples`; walked once.
        tensors: names of the tensors that need a histogram.
        run: how to run the graph.
        sample_limit: how many samples to keep at most; `SAMPLE_BYTES` limits them too. 0 keeps none.
        seed: of the reservoir's draw, which matters only beyond the limit.
        progress: called after each batch.

    Warns:
        FewbinsWarning: the batch is free, and the network gives an error or other values for several samples at once;
            it is then walked with one at a time.

    Raises:
        CalibrationError: an activation is not finite; names the tensor.
    """
    statistics = Statistics({name: Histogram() for name in tensors})
    every = [tensor.name for tensor in graph.activations()]
    reservoir = _Reservoir(statistics, sample_limit, seed)
    size = _BatchSize(free=is_free(graph))
    for batch in _batches(graph, samples, size):
        if len(batch) > 1:
            size.settle(graph, run, batch, statistics)
        for part in [[sample] for sample in batch] if statistics.alone else [batch]:
            first = not statistics.shapes
            traced = run(joined(graph, part), every if first else tensors)
            if first:
                statistics.shapes = {name: array.shape for name, array in traced.items()}
                size.fit(4 * sum(math.prod(statistics.shapes[name]) for name in every))
            for name in tensors:
                _observe(statistics.histograms[name], traced[name], name, len(part))
        for sample in batch:
            reservoir.offer(sample)
        if progress is not None:
            progress(statistics.count, None, "calibrate")
    if len(statistics.sample) > 1:
        size.settle(graph, run, statistics.sample, statistics)
    return statistics


def why_alone(graph: Graph, run: Runner, samples: Sequence[Sample]) -> str:
    """Why a network with a free batch must be given these two samples one by one; "" where it need not.

    A size that was 1 in the export may be written into a Reshape, so that a batch is an error, or, worse, gives every
    sample values of the others. So a network some of whose tensors do not begin with the batch is tried.
    """
    batch = batch_size([graph.tensors[name] for name in graph.inputs])
    nodes = [node for node in graph.nodes if any(graph.tensors[name].shape[:1] != (batch,) for name in node.outputs)]
    if not nodes:
        return ""
    held = f"node '{nodes[0].name}' ({nodes[0].op}) gives {show(graph.tensors[nodes[0].outputs[0]].shape)}"
    outputs = list(graph.outputs)
    try:
        together = run(joined(graph, samples), outputs)
    except ShapeError as error:
        return f"a batch of {len(samples)} is refused ({error})"
    parts = [run(list(sample), outputs) for sample in samples]
    for name in outputs:
        want = [part[name] for part in parts]
        if want[0].ndim == 0 or not _same(together[name], np.concatenate(want)):
            return f"a batch gives other values in '{name}' than its images one by one; {held}, which holds the batch"
    return ""


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=0, atol=1e-3 * float(np.abs(b).max(initial=0.0)))


class _BatchSize:
    """How many samples a batch has: one, until it is known how much memory a sample takes."""

    def __init__(self, *, free: bool) -> None:
        self.samples = 1
        self._free = free
        self._settled = not free

    def settle(self, graph: Graph, run: Runner, samples: Sequence[Sample], statistics: Statistics) -> None:
        """Find out, once, whether samples can be joined; where not, say why."""
        if self._settled or not can_join(graph, *samples[:2]):
            return
        self._settled = True
        statistics.alone = why_alone(graph, run, samples[:2])
        if statistics.alone:
            self.samples, self._free = 1, False
            warn(f"calibration runs one image at a time: {statistics.alone}")

    def fit(self, sample_bytes: int) -> None:
        if self._free:
            self.samples = int(np.clip(BATCH_BYTES // max(sample_bytes, 1), 1, 64))


def _batches(graph: Graph, samples: Iterable[Sample], size: _BatchSize) -> Iterator[list[Sample]]:
    """Runs of samples that can be joined; the size may change from batch to batch."""
    batch: list[Sample] = []
    for sample in samples:
        if batch and (len(batch) >= size.samples or not can_join(graph, batch[0], sample)):
            yield batch
            batch = []
        batch.append(sample)
    if batch:
        yield batch


def _observe(histogram: Histogram, array: Array, name: str, samples: int) -> None:
    low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise CalibrationError(
            f"tensor '{name}' is not finite in the float network on the calibration images; "
            "check the preprocessing, or the network's weights"
        )
    histogram.see(low, high)
    flat = array.reshape(-1)
    histogram.add(flat[:: stride_for(array.shape, samples)])


def stride_for(shape: tuple[int, ...], samples: int) -> int:
    """Every how many values to count, so that each sample gives about `VALUES_PER_SAMPLE`.

    The step shares no factor with any size, so that it meets all rows, columns and channels alike.

    >>> stride_for((1, 16, 32, 32), 1), stride_for((1, 96, 112, 112), 1)
    (1, 79)
    """
    stride = max(1, math.ceil(math.prod(shape) / (VALUES_PER_SAMPLE * samples)))
    while stride > 1 and any(math.gcd(stride, size) > 1 for size in shape[1:] if size > 1):
        stride += 1
    return stride


class _Reservoir:
    """Uniform sampling without knowing the total (algorithm R), of samples with one shape."""

    def __init__(self, statistics: Statistics, limit: int, seed: int) -> None:
        self._statistics, self._limit = statistics, limit
        self._random = np.random.default_rng(seed)
        self._offered = 0

    def offer(self, sample: Sample) -> None:
        statistics = self._statistics
        statistics.count += 1
        kept = statistics.sample
        if not kept and statistics.count == 1:
            size = sum(array.nbytes for array in sample)
            self._limit = min(self._limit, max(1, SAMPLE_BYTES // max(size, 1))) if self._limit else 0
        if self._limit == 0 or (kept and [a.shape for a in kept[0]] != [a.shape for a in sample]):
            return
        self._offered += 1
        if len(kept) < self._limit:
            kept.append(tuple(array.copy() for array in sample))
        else:
            place = int(self._random.integers(self._offered))
            if place < self._limit:
                kept[place] = tuple(array.copy() for array in sample)
