# SPDX-License-Identifier: Apache-2.0
"""Run a model file: `Session`, and `InferenceSession` with ONNX Runtime's signatures."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from fewbins import _engine
from fewbins.errors import ArgumentError, ShapeError
from fewbins.graph import Shape

Array = np.ndarray[Any, np.dtype[Any]]
Feed = Array | Sequence[Array] | Mapping[str, Array]


class _Bytes(Protocol):
    def to_bytes(self) -> bytes: ...


@dataclass(frozen=True)
class TensorInfo:
    """An input or output: `name`, ONNX Runtime's `type` string, and `shape` with strings for free sizes."""

    name: str
    type: str
    shape: list[int | str]


class Session:
    """A loaded model, ready to run. May be used from several threads at once.

    Args:
        model: path of a .fewbins file, its bytes, or a QuantizedModel.
        threads: how many threads one run uses; None takes FEWBINS_NUM_THREADS, else what affinity and cgroup allow.
        isa: cap on the instruction set ("scalar", "avx2", "vnni", ...); None takes FEWBINS_ISA, else the best here.
        kernel: name of a kernel to use wherever it fits, for tests and benchmarks.
        check_finite: raise ArgumentError when an input holds NaN or infinity.

    Raises:
        FileAccessError, ModelFileError: the file cannot be read, or is not a valid model.

    Example:
        session = fewbins.Session("resnet18.fewbins", threads=2)
        logits = session.run(batch)  # float32 (N, 3, 224, 224) -> float32 (N, 1000)
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes | _Bytes,
        threads: int | None = None,
        *,
        isa: str | None = None,
        kernel: str | None = None,
        check_finite: bool = False,
    ) -> None:
        if threads is not None and threads < 1:
            raise ArgumentError(f"threads is {threads}; it must be at least 1, or None for what this process may use")
        source: str | bytes
        if isinstance(model, bytes):
            source = model
        elif isinstance(model, (str, os.PathLike)):
            source = os.fspath(model)
        else:
            source = model.to_bytes()
        self._engine = _engine.Session(source, threads or 0, isa or "", kernel or "", check_finite)
        self.inputs: list[TensorInfo] = [_info(row) for row in self._engine.inputs]
        self.outputs: list[TensorInfo] = [_info(row) for row in self._engine.outputs]

    @cached_property
    def unread(self) -> list[TensorInfo]:
        """Inputs in the signature of the network that nothing in it reads: they may be given, and are passed over."""
        header = self._engine.metadata()
        if '"unread_inputs"' not in header:
            return []
        rows = json.loads(header).get("unread_inputs", [])
        return [TensorInfo(row["name"], row["type"], list(row["shape"])) for row in rows]

    def run(self, feed: Feed) -> Any:
        """Run once.

        Args:
            feed: a float32 array (models with one input), a list in the order of the inputs, or a dict by name.

        Returns:
            A float32 array, or a dict by name where the model has several outputs.

        Raises:
            ShapeError: a wrong name, dtype, rank or size; says what was expected.
        """
        outputs = self._engine.run(self._arrays(feed))
        if len(outputs) == 1:
            return outputs[0]
        return {info.name: array for info, array in zip(self.outputs, outputs, strict=True)}

    def trace(self, feed: Feed, names: Sequence[str] | None = None) -> dict[str, Array]:
        """Run once and keep activations by name (all of them without `names`).

        Returns:
            name -> float32, or uint8 `u = q - lo` for quantized tensors, in the graph's axis order.
        """
        traced: dict[str, Array] = self._engine.trace(self._arrays(feed), None if names is None else list(names))
        return traced

    def plan(self, shapes: Sequence[Sequence[int]] | None = None) -> list[dict[str, Any]]:
        """One row per step: op, name, kernel, form, macs, bytes. `shapes`: one per input; free sizes are 1 without."""
        if shapes is None:
            shapes = [[n if isinstance(n, int) else 1 for n in info.shape] for info in self.inputs]
        rows: list[dict[str, Any]] = self._engine.plan([list(s) for s in shapes])
        return rows

    def profile(self, feed: Feed, repeats: int = 10) -> list[dict[str, Any]]:
        """The rows of `plan`, with `median_ms` of each step over the repeats."""
        rows: list[dict[str, Any]] = self._engine.profile(self._arrays(feed), repeats)
        return rows

    def advice(self) -> list[dict[str, Any]]:
        """Convolutions that other bins would run faster on this CPU.

        Returns:
            Rows with `name`, `scheme` (the most bins among those clearly faster) and `time`, the predicted fraction of
            the layer's own time. Predicted from the cost table (`fewbins doctor`) and the layer's weights.
        """
        rows: list[dict[str, Any]] = self._engine.advice()
        return rows

    def _arrays(self, feed: Any) -> list[Array]:
        names = [info.name for info in self.inputs]
        if isinstance(feed, np.ndarray):
            feed = [feed]
        if isinstance(feed, Mapping):
            unknown = [n for n in feed if n not in names and n not in [info.name for info in self.unread]]
            missing = [n for n in names if n not in feed]
            if unknown or missing:
                what = f"unknown input '{unknown[0]}'" if unknown else f"no array for input '{missing[0]}'"
                raise ShapeError(f"{what}; the model's inputs are {', '.join(names)}")
            feed = [feed[n] for n in names]
        if not isinstance(feed, Sequence) or len(feed) != len(names):
            raise ShapeError(f"the model has {len(names)} inputs ({', '.join(names)}); give one float32 array for each")
        arrays = []
        for info, array in zip(self.inputs, feed, strict=True):
            if not isinstance(array, np.ndarray) or array.dtype != np.float32:
                kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
                raise ShapeError(f"input '{info.name}' is {kind}; it must be a float32 array: x.astype(numpy.float32)")
            wanted: Shape = tuple(info.shape)
            fits = array.ndim == len(wanted) and all(
                isinstance(w, str) or w == n for w, n in zip(wanted, array.shape, strict=True)
            )
            if not fits:
                text = ", ".join(str(n) for n in wanted)
                raise ShapeError(f"input '{info.name}' has shape {array.shape}; the model takes ({text})")
            arrays.append(np.ascontiguousarray(array))
        return arrays


class InferenceSession:
    """`onnxruntime.InferenceSession` over a .fewbins file, so that a script changes one import.

    Args:
        path_or_bytes: a .fewbins file.
        sess_options: an ONNX Runtime SessionOptions; only its intra_op_num_threads is used.
        providers, provider_options: accepted and not used: there is one provider, this engine.
    """

    def __init__(
        self,
        path_or_bytes: str | os.PathLike[str] | bytes,
        sess_options: Any = None,
        providers: Sequence[Any] | None = None,
        provider_options: Sequence[Any] | None = None,
    ) -> None:
        threads = getattr(sess_options, "intra_op_num_threads", 0)
        self._session = Session(path_or_bytes, threads or None)

    def get_inputs(self) -> list[TensorInfo]:
        """The inputs, in order, then those that the network has and does not read."""
        return [*self._session.inputs, *self._session.unread]

    def get_outputs(self) -> list[TensorInfo]:
        """The outputs, in order."""
        return self._session.outputs

    def get_providers(self) -> list[str]:
        """There is one: this engine."""
        return ["FewbinsExecutionProvider"]

    def run(
        self, output_names: Sequence[str] | None, input_feed: Mapping[str, Array], run_options: Any = None
    ) -> list[Array]:
        """Arrays in the order of `output_names` (all outputs for None)."""
        names = [info.name for info in self._session.outputs]
        wanted = names if output_names is None else list(output_names)
        for name in wanted:
            if name not in names:
                raise ArgumentError(f"'{name}' is not an output; the model's outputs are {', '.join(names)}")
        result = self._session.run(input_feed)
        arrays = {names[0]: result} if len(names) == 1 else result
        return [arrays[name] for name in wanted]


def _info(row: Mapping[str, Any]) -> TensorInfo:
    return TensorInfo(row["name"], "tensor(float)", list(row["shape"]))
