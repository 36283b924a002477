# SPDX-License-Identifier: Apache-2.0
"""A quantized model in memory: its graph, and what travels with it into the file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fewbins.checks import check_list_of_mappings, check_mapping, check_names, shown
from fewbins.data.preprocess import Preprocessing
from fewbins.errors import ArgumentError, ShapeError
from fewbins.graph import Graph
from fewbins.graph.show import html_table
from fewbins.model_file import FileContents, from_bytes, read, to_bytes, write

Row = Mapping[str, Any]
COLUMNS = ("layer", "op", "scheme", "bins", "weights dB", "output dB", "bytes", "kernel")


@dataclass(frozen=True, eq=False)
class QuantizedModel:
    """What `quantize` returns and a .fewbins file holds.

    Attributes:
        graph: quantized (or, for scheme "float", float32) graph; its inputs and outputs are float32.
        scheme: the canonical scheme string.
        preprocessing: how an image becomes the input, or None.
        labels: class names in the order of the outputs, or None.
        provenance: where the model came from: calibration, library version.
        rows: one row per layer with weights: name, op, scheme, input_bins, weight_bins, output_bins, weight_sqnr_db,
            output_sqnr_db, corrected_channels, raised_channels, weight_bytes. Weights without decibels are exact; for
            an output without, output_note says "exact", "all zero" (the float layer's output) or "not measured".

    Example:
        model = fewbins.quantize(graph, images, scheme="255x33,first=8bit,last=8bit")
        print(model.report())
        model.save("resnet18.fewbins")
    """

    graph: Graph
    scheme: str
    preprocessing: Preprocessing | None = None
    labels: Sequence[str] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Row] = ()

    def __post_init__(self) -> None:
        """Refuse parts of a wrong type."""
        for name, value, kind in (
            ("graph", self.graph, Graph),
            ("scheme", self.scheme, str),
            ("preprocessing", self.preprocessing, Preprocessing | None),
        ):
            if not isinstance(value, kind):
                raise ArgumentError(f"{name} is {shown(value)}; it is no part of a model")
        check_names("labels", self.labels, "class names")
        check_mapping("provenance", self.provenance, "what JSON can hold", optional=False)
        check_list_of_mappings("rows", self.rows)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle and copy: the bytes of the model file."""
        return type(self).from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        """The scheme, what goes in and out, and how much is in it."""
        size = sum(row["weight_bytes"] for row in self.rows)
        layers = f"{len(self.rows)} layers with {size:,} bytes of weights"
        if not self.rows:
            layers = f"{len(self.graph.nodes)} nodes"
        return f"<QuantizedModel {self.scheme}: {self.graph.signature()}, {layers}>"

    def _repr_html_(self) -> str:
        title = f"QuantizedModel {self.scheme}: {self.graph.signature()}"
        return html_table(title, COLUMNS, self._table())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file, wholly or not at all.

        Args:
            path: usually ends in .fewbins; a file of that name is replaced.

        Raises:
            FileAccessError: the folder is missing, forbidden or full.
        """
        write(path, self._contents())

    def to_bytes(self) -> bytes:
        """The bytes of the model file."""
        return to_bytes(self._contents())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> QuantizedModel:
        """Read a model file.

        Args:
            path: of a .fewbins file.

        Returns:
            The model; `rows`, and so the table of `report()`, are not in the file.

        Raises:
            FileAccessError, ModelFileError: the file cannot be read, or is not a valid model.
        """
        return cls._of(read(path))

    @classmethod
    def from_bytes(cls, data: bytes) -> QuantizedModel:
        """Read a model file from memory.

        Args:
            data: what `to_bytes` gave, or the bytes of a .fewbins file.

        Returns:
            The model, as from `load`.

        Raises:
            ModelFileError: the bytes are not a valid model.
        """
        return cls._of(from_bytes(data))

    def report(self) -> str:
        """A table of the layers: bins, noise, bytes, and the kernel that runs them on this machine."""
        lines = _aligned([COLUMNS, *self._table()], right=(4, 5, 6)) if self.rows else []
        total = sum(row["weight_bytes"] for row in self.rows)
        lines.append(f"scheme {self.scheme}, {len(self.rows)} layers with weights, {total:,} bytes of weights")
        calibration = self.provenance.get("calibration")
        if isinstance(calibration, Mapping) and "one_at_a_time" in calibration:
            lines.append(f"calibrated one image at a time: {calibration['one_at_a_time']}")
        float_nodes = [node.name for node in self.graph.nodes if self._in_float(node.outputs[0], node.attrs)]
        if float_nodes and len(float_nodes) < len(self.graph.nodes):
            lines.append(f"in float arithmetic: {', '.join(float_nodes)}")
        return "\n".join(lines)

    def _table(self) -> list[tuple[str, ...]]:
        """The cells of the report, a row per layer."""
        kernels = self._kernels() if self.rows else {}
        table = []
        for row in self.rows:
            bins = f"{row['input_bins'] or 'float'}x{row['weight_bins'] or 'float'}"
            noise = [_decibels(row["weight_sqnr_db"], "exact"), _decibels(row["output_sqnr_db"], _output_note(row))]
            size = f"{row['weight_bytes']:,}"
            table.append((row["name"], row["op"], row["scheme"], bins, *noise, size, kernels.get(row["name"], "")))
        return table

    def _in_float(self, output: str, attrs: Any) -> bool:
        return self.graph.tensors[output].dtype == "float32" and getattr(attrs, "requantize", None) is None

    def _kernels(self) -> dict[str, str]:
        from fewbins.session import Session

        try:
            return {row["name"]: row["kernel"] for row in Session(self).plan(planning_shapes(self.provenance))}
        except ShapeError:  # a free height or width that nothing is known about: the least size may not fit
            return {}

    def _contents(self) -> FileContents:
        preprocessing = None if self.preprocessing is None else self.preprocessing.to_json()
        return FileContents(self.graph, self.scheme, preprocessing, self.labels, self.provenance, self.rows or None)

    @classmethod
    def _of(cls, contents: FileContents) -> QuantizedModel:
        preprocessing = contents.preprocessing
        return cls(
            contents.graph,
            contents.scheme,
            # A scale of 1 is what the file means, and keeps a warning of its units to the day when it was made.
            None if preprocessing is None else Preprocessing.from_json({**preprocessing, "scale": 1}),
            contents.labels,
            contents.provenance,
            tuple(contents.report or ()),
        )


def planning_shapes(provenance: Mapping[str, Any]) -> list[list[int]] | None:
    """The input shapes that a model was calibrated on, for `Session.plan`; None where the file does not say.

    A network with a free height and width may refuse the smallest sizes, so the plan is made for these.

    >>> planning_shapes({"calibration": {"input_shapes": [[1, 3, 48, 192]]}})
    [[1, 3, 48, 192]]
    >>> planning_shapes({"calibration": {"input_shapes": "none"}}) is None
    True
    """
    calibration = provenance.get("calibration")
    shapes = calibration.get("input_shapes") if isinstance(calibration, Mapping) else None
    if not isinstance(shapes, list) or not shapes or not all(isinstance(shape, list) for shape in shapes):
        return None
    known = all(isinstance(size, int) and 0 < size < 2**31 for shape in shapes for size in shape)
    return shapes if known else None


def _decibels(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:.1f}"


def _output_note(row: Row) -> str:
    """What to print for an output without decibels; files of version 0.1 do not say."""
    return str(row.get("output_note") or "")


def _aligned(table: Sequence[Sequence[str]], right: Sequence[int]) -> list[str]:
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = []
    for row in table:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
