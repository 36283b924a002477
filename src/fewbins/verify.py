# SPDX-License-Identifier: Apache-2.0
"""Hold the engine against the oracle, node by node, on every instruction set, thread count and batch.

The rule is the contract's (docs/numerics.md, section 5): each node of the oracle is fed the engine's own input tensors.
Results are equal to the last bit, but for float convolutions and products, which agree within 1e-5 of the largest
magnitude (the order of summation is free), and float functions such as exp, within 2 units in the last place. Where no
float node precedes, equality of every node in turn is equality from end to end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fewbins import _engine, model_file, oracle
from fewbins.calibrate.batch import batch_size, has_batch
from fewbins.checks import check_callable, check_integer, check_integers, check_mapping, check_names
from fewbins.errors import ArgumentError, ShapeError
from fewbins.graph import Graph, Node
from fewbins.graph.types import STORAGE
from fewbins.model import QuantizedModel
from fewbins.session import Session

Array = np.ndarray[Any, np.dtype[Any]]

SUM_TOLERANCE = 1e-5
ULPS = 2


@dataclass(frozen=True)
class Check:
    """What one node gave in one configuration.

    Attributes:
        isa, threads, batch: the configuration.
        node, op: which node.
        exact: whether the rule is equality rather than a tolerance.
        elements: how many values were compared.
        wrong: how many of them break the rule.
        largest: the largest difference: in levels, or for float tensors relative to the largest magnitude.
    """

    isa: str
    threads: int
    batch: int
    node: str
    op: str
    exact: bool
    elements: int
    wrong: int
    largest: float


def verify(
    model: str | os.PathLike[str] | QuantizedModel,
    feed: Mapping[str, Array] | None = None,
    *,
    isas: Sequence[str] | None = None,
    threads: Sequence[int] = (1, 2),
    batches: Sequence[int] = (1, 7),
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> list[Check]:
    """Compare the engine with the oracle.

    Args:
        model: a .fewbins file, or a QuantizedModel.
        feed: input name -> array with at least max(batches) samples, or the same for all; random inputs without it.
        isas: instruction sets to test; all that this CPU has and FEWBINS_ISA allows by default.
        threads: thread counts to test.
        batches: batch sizes to test; a fixed batch in the model wins.
        seed: of the random inputs.
        progress: called with a line of text before each configuration.

    Returns:
        One Check per node and configuration, in order.

    Raises:
        ArgumentError: an instruction set that does not run here, or an argument of a wrong type.
        ModelFileError, FileAccessError: the file cannot be read.
        ShapeError: the feed does not fit.

    Example:
        checks = fewbins.verify("resnet18.fewbins", threads=(1, 4))
        assert not any(check.wrong for check in checks)
    """
    check_mapping("feed", feed, "arrays by input name")
    check_names("isas", isas, "instruction sets")
    check_integers("threads", threads, 1)
    check_integers("batches", batches, 1)
    check_integer("seed", seed, 0)
    check_callable("progress", progress, "a line of text")
    graph = model.graph if isinstance(model, QuantizedModel) else model_file.read(model).graph
    names = list(isas) if isas is not None else available_isas()
    unknown = [n for n in names if n not in available_isas()]
    if unknown:
        raise ArgumentError(f"isa '{unknown[0]}' does not run here; this CPU has {', '.join(available_isas())}")
    checks: list[Check] = []
    for batch in _batches(graph, batches):
        inputs = _inputs(graph, feed, batch, seed)
        reference: dict[str, Array] = {}
        expected: dict[str, list[Array]] = {}
        for isa in names:
            for count in threads:
                if progress is not None:
                    progress(f"{isa}, {count} thread{'s' * (count > 1)}, batch {batch}")
                session = Session(model, count, isa=isa)
                traced = session.trace(inputs)
                checks += _compare(graph, inputs, traced, reference, expected, (isa, count, batch))
                reference = reference or traced
    return checks


def available_isas() -> list[str]:
    """Instruction sets of the kernels that run here, the plainest first."""
    found: list[str] = []
    for row in _engine.kernel_rows():
        if row["runs_here"] and row["isa"] not in found:
            found.append(row["isa"])
    return sorted(found, key=lambda isa: (isa != "scalar", isa))


def _batches(graph: Graph, batches: Sequence[int]) -> list[int]:
    fixed = batch_size([graph.tensors[name] for name in graph.inputs])
    return list(dict.fromkeys(batches)) if isinstance(fixed, str) else [fixed or 1]


def _inputs(graph: Graph, feed: Mapping[str, Array] | None, batch: int, seed: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    free: dict[str, int] = {}
    inputs = {}
    for name, batched in zip(graph.inputs, has_batch(graph), strict=True):
        tensor = graph.tensors[name]
        dtype = STORAGE[tensor.dtype]
        if feed is not None:
            if name in feed and not isinstance(feed[name], np.ndarray):
                raise ShapeError(f"input '{name}' is of type {type(feed[name]).__name__}; give a {dtype} array")
            if name not in feed or (batched and (feed[name].ndim == 0 or len(feed[name]) < batch)):
                raise ShapeError(f"input '{name}' needs at least {batch} samples to verify batch {batch}")
            inputs[name] = np.asarray(feed[name][:batch] if batched else feed[name], dtype, order="C")
            continue
        sizes = [
            n if isinstance(n, int) else batch if batched and axis == 0 else free.setdefault(n, 32)
            for axis, n in enumerate(tensor.shape)
        ]
        # Of integers 0 and 1: places that an axis of any size has.
        values = rng.standard_normal(sizes) if tensor.dtype == "float32" else rng.integers(0, 2, sizes)
        inputs[name] = np.asarray(values, dtype)
    return inputs


def _compare(
    graph: Graph,
    inputs: Mapping[str, Array],
    traced: Mapping[str, Array],
    reference: Mapping[str, Array],
    expected: dict[str, list[Array]],
    where: tuple[str, int, int],
) -> Iterator[Check]:
    """Checks of one run. `expected` keeps the oracle's outputs for the inputs that the reference run gave a node."""
    values = {**inputs, **traced}
    isa, threads, batch = where
    for node in graph.nodes:
        operands = [n for n in node.inputs if not graph.tensors[n].is_constant]
        same = all(n in inputs or (n in reference and np.array_equal(values[n], reference[n])) for n in operands)
        if node.name in expected and same:
            wanted = expected[node.name]
        else:
            wanted = oracle.run_node(graph, node, [_oracle_value(graph, n, values) for n in node.inputs])
            expected.setdefault(node.name, wanted)
        for name, want in zip(node.outputs, wanted, strict=True):
            rule = _rule(node)
            wrong, largest = _difference(_oracle_value(graph, name, values), want, rule)
            yield Check(isa, threads, batch, node.name, node.op, rule == "exact", int(want.size), wrong, largest)


def _rule(node: Node) -> str:
    """Which agreement the contract promises: "exact", "sum" or "function"."""
    if getattr(node.attrs, "requantize", None) is not None:
        return "exact"
    if node.op in ("Conv", "ConvTranspose", "Gemm"):
        return "sum"
    function = getattr(node.attrs, "function", "")
    return "function" if node.op in ("Unary", "Softmax") or function == "pow" else "exact"


def _oracle_value(graph: Graph, name: str, values: Mapping[str, Array]) -> Array:
    """A tensor as the oracle has it: float32, or signed levels as int32."""
    tensor = graph.tensors[name]
    data = tensor.value if tensor.is_constant else values[name]
    if tensor.dtype == "levels" and tensor.affine is not None:
        return data.astype(np.int32) + tensor.affine.levels.lo
    return data


def _difference(got: Array, want: Array, rule: str) -> tuple[int, float]:
    """How many values break the rule, and the largest difference."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return max(int(want.size), 1), float("inf")
    if want.size == 0:
        return 0, 0.0
    if want.dtype.kind == "i":
        levels = np.abs(got.astype(np.int64) - want.astype(np.int64))
        return int(np.count_nonzero(levels)), float(levels.max())
    peak = float(np.max(np.abs(want), where=np.isfinite(want), initial=0.0)) or 1.0
    equal = (got == want) | (np.isnan(got) & np.isnan(want))
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.where(equal, 0.0, np.abs(got.astype(np.float64) - want.astype(np.float64)))
        near = np.spacing(np.abs(want)).astype(np.float64) * ULPS
    allowed = {"exact": 0.0, "sum": SUM_TOLERANCE * peak, "function": near}[rule]
    return int(np.count_nonzero(~(gap <= allowed))), float(np.max(gap) / peak)
