# SPDX-License-Identifier: Apache-2.0
"""Run a model file: `Session`."""

from __future__ import annotations

import json
import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, overload, runtime_checkable

import numpy as np

from fewbins import _engine
from fewbins.checks import check_flag, check_integer, check_names, path_text, shown
from fewbins.data.items import as_array
from fewbins.data.preprocess import Preprocessing, check_layout, from_pixels
from fewbins.errors import ArgumentError, ShapeError
from fewbins.graph import Graph, Shape
from fewbins.graph.show import html_table, shape_text, short_name, signature, tensor_text

Array = np.ndarray[Any, np.dtype[Any]]
NUMPY_DTYPES = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(bool)": np.dtype(np.bool_),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int64)": np.dtype(np.int64),
}
"""What inputs and outputs may be, by ONNX Runtime's words for it."""

Feed = Array | Sequence[Array] | Mapping[str, Array]


@runtime_checkable
class _Bytes(Protocol):
    def to_bytes(self) -> bytes: ...


@dataclass(frozen=True)
class TensorInfo:
    """An input or output: `name`, ONNX Runtime's `type` string, and `shape` with strings for free sizes."""

    name: str
    type: str
    shape: list[int | str]


MAX_THREADS = 2**31 - 1  # what the engine's own check can be asked about

NodeArg = TensorInfo
"""ONNX Runtime's name of it."""


class Session:
    """A loaded model, ready to run. May be used from several threads at once.

    A session can be pickled and sent to other processes: they open the same file, or the same bytes, again.

    Args:
        model: path of a .fewbins file, its bytes, or a QuantizedModel.
        threads: how many threads one run uses; None takes FEWBINS_NUM_THREADS, else what affinity and cgroup allow.
        isa: cap on the instruction set ("scalar", "avx2", "vnni", ...); None takes FEWBINS_ISA, else the best here.
        kernel: name of a kernel for the layers that it fits, for tests and benchmarks; the others choose as usual. None
            takes FEWBINS_KERNEL.
        check_finite: raise ArgumentError when an input holds NaN or infinity.

    Attributes:
        inputs, outputs: name, type and shape of each.
        source: what it was opened from: the file's absolute path, the bytes, or the QuantizedModel.

    Raises:
        ArgumentError: something that is no model, such as an ONNX file, which must be quantized first.
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
        _check_options(threads, isa, kernel)
        check_flag("check_finite", check_finite)
        self.source = _source(model)
        self._options = (threads, isa, kernel, check_finite)
        # The path as it was given is what errors should name; the absolute one is for other processes.
        named = os.fspath(model) if isinstance(model, str | os.PathLike) else self.source
        data = named.to_bytes() if isinstance(named, _Bytes) else named
        self._engine = _engine.Session(data, threads or 0, isa or "", kernel or "", bool(check_finite))
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

    @property
    def threads(self) -> int:
        """How many threads a run really has: fewer than were asked for where the system refused some."""
        return int(self._engine.threads)

    def __reduce__(self) -> tuple[Any, ...]:
        threads, isa, kernel, check_finite = self._options
        return _reopened, (type(self), self.source, threads, isa, kernel, check_finite)

    def __repr__(self) -> str:
        """Where it is from, what goes in and out, and how many threads run it."""
        threads = self._engine.threads
        return f"<{type(self).__name__} {self._origin()}: {self._signature()}, {threads} thread{'s' * (threads > 1)}>"

    def _repr_html_(self) -> str:
        rows = [
            (kind, info.name, info.type, shape_text(info.shape))
            for kind, infos in (("input", self.inputs), ("output", self.outputs))
            for info in infos
        ]
        return html_table(f"{type(self).__name__} {self._origin()}", ("", "name", "type", "shape"), rows)

    def _origin(self) -> str:
        if isinstance(self.source, str):
            return f"'{short_name(os.path.basename(self.source))}'"
        return f"of {len(self.source):,} bytes" if isinstance(self.source, bytes) else "of a QuantizedModel"

    def _signature(self) -> str:
        def texts(infos: list[TensorInfo]) -> list[str]:
            return [tensor_text(info.name, info.shape, NUMPY_DTYPES[info.type].name) for info in infos]

        return signature(texts(self.inputs), texts(self.outputs))

    @cached_property
    def _preprocessing(self) -> Preprocessing | None:
        row = json.loads(self._engine.metadata()).get("preprocessing")
        # A scale of 1 is what the file means.
        return None if row is None else Preprocessing.from_json({**row, "scale": 1})

    @overload
    def run(self, feed: Array, pixels: str | None = None) -> Array: ...
    @overload
    def run(
        self, feed: Sequence[Array] | Mapping[str, Array], pixels: str | None = None
    ) -> Array | dict[str, Array]: ...
    def run(self, feed: Feed, pixels: str | None = None) -> Array | dict[str, Array]:
        """Run once.

        Args:
            feed: an array of the input's type, float32 as a rule (models with one input), a list in the order of the
                inputs, or a dict by name. Tensors of torch and the like stand for arrays.
            pixels: for models that carry their preprocessing: the layout of arrays that are pictures of uint8, "NHWC"
                or "NCHW"; they become inputs as the preprocessing says.

        Returns:
            An array of the output's type (float32 as a rule; indices are int64, masks bool), or a dict by name where
            the model has several outputs. To a type checker an array gives an array; for a model of one input and
            several outputs, give a dict, whose result may be either.

        Raises:
            ShapeError: a wrong name, dtype, rank or size; says what was expected.
        """
        if pixels is not None:
            check_layout(pixels)
        outputs: list[Array] = self._engine.run(self._arrays(feed, pixels))
        if len(outputs) == 1:
            return outputs[0]
        return {info.name: array for info, array in zip(self.outputs, outputs, strict=True)}

    def trace(self, feed: Feed, names: Sequence[str] | None = None) -> dict[str, Array]:
        """Run once and keep activations.

        Args:
            feed: as for `run`.
            names: of tensors of the graph; all of them without it.

        Returns:
            name -> float32, or uint8 `u = q - lo` for quantized tensors, in the graph's axis order.

        Raises:
            ArgumentError: a name that no activation has.
            ShapeError: a feed that does not fit.
        """
        check_names("names", names, "tensors' names")
        traced: dict[str, Array] = self._engine.trace(self._arrays(feed), None if names is None else list(names))
        return traced

    def plan(self, shapes: Sequence[Sequence[int]] | None = None) -> list[dict[str, Any]]:
        """What each step would do: its kernel, its form, how much it computes.

        Args:
            shapes: one for each input, in their order; free sizes are 1 without it.

        Returns:
            A row for each step with `step`, `op`, `name`, `kernel`, `form`, `bins`, `requantize`, `output_shape`,
            `macs` (multiplications) and `bytes` (read and written).

        Raises:
            ShapeError: shapes that the model does not take.
        """
        if shapes is None:
            shapes = [[n if isinstance(n, int) else 1 for n in info.shape] for info in self.inputs]
        try:
            sizes = [[operator.index(size) for size in shape] for shape in shapes]
        except TypeError as error:
            raise ShapeError(f"shapes is {shown(shapes)}; give one list of integers for each input") from error
        rows: list[dict[str, Any]] = self._engine.plan(sizes)
        return rows

    def profile(self, feed: Feed, repeats: int = 10) -> list[dict[str, Any]]:
        """Time every step.

        Args:
            feed: as for `run`.
            repeats: how many runs, after one that does not count.

        Returns:
            The rows of `plan` for these inputs, with `median_ms` and `min_ms` in milliseconds.

        Raises:
            ArgumentError: repeats below 1.
            ShapeError: a feed that does not fit.
        """
        check_integer("repeats", repeats, 1)
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

    def _arrays(self, feed: Any, pixels: str | None = None) -> list[Array]:
        names = [info.name for info in self.inputs]
        feed = as_array(feed)
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
        for info, given in zip(self.inputs, feed, strict=True):
            array = as_array(given)
            if isinstance(array, np.ndarray) and array.dtype == np.uint8 and info.type == "tensor(float)":
                array = from_pixels(array, info.name, self._preprocessing, pixels)
            wanted_dtype = NUMPY_DTYPES[info.type]
            if not isinstance(array, np.ndarray) or array.dtype != wanted_dtype:
                kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
                raise ShapeError(
                    f"input '{info.name}' is {kind}; it must be a {wanted_dtype} array: x.astype(numpy.{wanted_dtype})"
                )
            wanted: Shape = tuple(info.shape)
            fits = array.ndim == len(wanted) and all(
                isinstance(w, str) or w == n for w, n in zip(wanted, array.shape, strict=True)
            )
            if not fits:
                text = ", ".join(str(n) for n in wanted)
                raise ShapeError(f"input '{info.name}' has shape {array.shape}; the model takes ({text})")
            arrays.append(np.asarray(array, order="C"))
        return arrays


def _info(row: Mapping[str, Any]) -> TensorInfo:
    kind = "float" if row["dtype"] == "float32" else row["dtype"]
    return TensorInfo(row["name"], f"tensor({kind})", list(row["shape"]))


def _check_options(threads: object, isa: object, kernel: object) -> None:
    """Refuse options of a wrong type or value."""
    if isinstance(threads, int) and threads > MAX_THREADS:
        raise ArgumentError(f"threads is {shown(threads)}; it must be at most {MAX_THREADS}")
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise ArgumentError(f"threads is {shown(threads)}; it must be at least 1, or None for all this process may use")
    for name, value in (("isa", isa), ("kernel", kernel)):
        if value is not None and not isinstance(value, str):
            raise ArgumentError(f"{name} is {shown(value)}; it must be a name, or None")


def _source(model: object) -> str | bytes | _Bytes:
    """What a session is opened from, which also opens it again in another process."""
    if isinstance(model, bytes | bytearray | memoryview):
        return bytes(model)
    if isinstance(model, str | os.PathLike):
        path = path_text(model)
        if path.lower().endswith(".onnx"):
            raise ArgumentError(
                f"'{path}' is an ONNX file; quantize it first: model = fewbins.quantize('{path}', images), "
                "and then Session(model)"
            )
        return os.path.abspath(path)
    kind = type(model).__name__
    if isinstance(model, int):  # which has a method to_bytes, too
        raise ArgumentError(
            f"the model is {shown(model)}; give a QuantizedModel, or the path or bytes of a .fewbins file"
        )
    if isinstance(model, _Bytes):
        return model
    if isinstance(model, Graph) or kind == "ModelProto":
        raise ArgumentError(
            f"a {kind} is a float network; quantize it first: model = fewbins.quantize(graph, images), or with "
            "scheme='float', and then Session(model)"
        )
    raise ArgumentError(f"the model is of type {kind}; give a QuantizedModel, or the path or bytes of a .fewbins file")


def _reopened(
    cls: type[Session],
    source: str | bytes | _Bytes,
    threads: int | None,
    isa: str | None,
    kernel: str | None,
    check_finite: bool,
) -> Session:
    """A session as it was pickled."""
    return cls(source, threads, isa=isa, kernel=kernel, check_finite=check_finite)
