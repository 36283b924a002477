# SPDX-License-Identifier: Apache-2.0
"""`fewbins inspect`: what is in a model, what stays float, form and kernel of every layer."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import typer

from fewbins.cli.common import (
    FROM_HELP,
    TO_HELP,
    columns_of_stdout,
    is_model_file,
    print_json,
    print_line,
    print_table,
    size_text,
)
from fewbins.graph.show import tensor_text

if TYPE_CHECKING:
    from fewbins.graph import Tensor

WEIGHTED = ("Conv", "ConvTranspose", "Gemm")
TABLE_COLUMNS = 110  # a terminal with fewer shows a layer in lines, not in a row of a table


def command(
    model: Path = typer.Argument(..., help="A .fewbins or .onnx file."),
    from_: Optional[list[str]] = typer.Option(  # noqa: UP045 (typer reads it at run time on Python 3.10)
        None, "--from", help=FROM_HELP
    ),
    to: Optional[list[str]] = typer.Option(None, "--to", help=TO_HELP),  # noqa: UP045
    json: bool = typer.Option(False, "--json", help="Machine-readable output."),
) -> None:
    """Show what is in a model: inputs, layers, bins, what stays float, and which kernels would run."""
    body = _model_file(str(model)) if is_model_file(str(model)) else _onnx(str(model), from_, to)
    if json:
        print_json("fewbins.inspect/1", body)
        return
    _print(body)


def _model_file(path: str) -> dict[str, Any]:
    from fewbins import model_file
    from fewbins.model import planning_shapes
    from fewbins.session import Session

    contents = model_file.read(path)
    session = Session(path)
    plan = {row["name"]: row for row in session.plan(planning_shapes(contents.provenance))}
    body = _graph(contents.graph, plan)
    body.update(
        kind="fewbins",
        path=path,
        size_bytes=os.path.getsize(path),
        scheme=contents.scheme,
        preprocessing=contents.preprocessing,
        label_count=None if contents.labels is None else len(contents.labels),
        provenance=dict(contents.provenance),
        faster_schemes=session.advice(),
    )
    return body


def _onnx(path: str, inputs: list[str] | None, outputs: list[str] | None) -> dict[str, Any]:
    from fewbins.importers.onnx import load_onnx

    body = _graph(load_onnx(path, inputs=inputs, outputs=outputs), {})
    body.update(kind="onnx", path=path, size_bytes=os.path.getsize(path))
    return body


def _graph(graph: Any, plan: dict[str, dict[str, Any]]) -> dict[str, Any]:
    layers = []
    for node in graph.nodes:
        out = graph.tensors[node.outputs[0]]
        quantized = out.dtype == "levels" or getattr(node.attrs, "requantize", None) is not None
        weight = graph.tensors[node.params["weight"]] if node.op in WEIGHTED and "weight" in node.params else None
        step = plan.get(node.name, {})
        layers.append(
            {
                "name": node.name,
                "op": node.op,
                "function": getattr(node.attrs, "function", None),
                "arithmetic": "integer" if quantized else "float",
                "shape": list(out.shape),
                "activation_bins": out.affine.levels.bins if out.affine is not None else None,
                "weight_bins": weight.affine.levels.bins if weight is not None and weight.affine is not None else None,
                "weight_shape": None if weight is None else list(weight.shape),
                "requantize": getattr(getattr(node.attrs, "requantize", None), "kind", None),
                "form": step.get("form"),
                "kernel": step.get("kernel"),
                "macs": step.get("macs"),
            }
        )
    return {
        "name": graph.name,
        "inputs": [_tensor(graph.tensors[name]) for name in graph.inputs],
        "outputs": [_tensor(graph.tensors[name]) for name in graph.outputs],
        "unread_inputs": [{"name": i.name, "type": i.type, "shape": list(i.shape)} for i in graph.unread],
        "ops": dict(Counter(node.op for node in graph.nodes)),
        "weights": sum(t.value.size for t in graph.tensors.values() if t.is_constant),
        "layers": layers,
        "float_nodes": [row["name"] for row in layers if row["arithmetic"] == "float"],
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype}


def _print(body: dict[str, Any]) -> None:
    print_line(f"{body['path']}: {size_text(body['size_bytes'])}, {body['weights']:,} constants")
    for what in ("inputs", "outputs"):
        shown = (tensor_text(row["name"], row["shape"], row["dtype"]) for row in body[what])
        print_line(f"{what}: {', '.join(shown)}")
    if body["unread_inputs"]:
        print_line(f"inputs that nothing reads: {', '.join(row['name'] for row in body['unread_inputs'])}")
    if body["kind"] == "fewbins":
        print_line(f"scheme: {body['scheme']}")
        if body["preprocessing"]:
            print_line(f"preprocessing, for pixels 0..255: {body['preprocessing']}")
        raised = body["provenance"].get("raised_channels")
        if raised:
            print_line(f"weight channels whose scale was raised for their bias: {raised}")
    columns = columns_of_stdout()
    if columns is not None and columns < TABLE_COLUMNS:
        for row in body["layers"]:
            _print_narrow(row)
    else:
        _print_wide(body["layers"])
    if body["kind"] == "fewbins" and body["float_nodes"]:
        print_line(f"in float arithmetic: {', '.join(body['float_nodes'])}")
    for row in body.get("faster_schemes", ()):
        print_line(f"{row['name']} would take {row['time']:.2f} of its time on this CPU as {row['scheme']}")


def _operation(row: dict[str, Any]) -> str:
    return str(row["op"]) + (f" {row['function']}" if row["function"] else "")


def _shape(row: dict[str, Any]) -> str:
    return "x".join(map(str, row["shape"]))


def _rule(row: dict[str, Any]) -> str:
    return str(row["requantize"] or ("float" if row["arithmetic"] == "float" else ""))


def _print_wide(layers: list[dict[str, Any]]) -> None:
    rows = [
        (
            row["name"],
            _operation(row),
            _shape(row),
            row["activation_bins"],
            row["weight_bins"],
            _rule(row),
            row["form"],
            row["kernel"],
        )
        for row in layers
    ]
    columns = ("layer", "op", "output", "bins out", "bins weight", "rule", "form", "kernel")
    print_table("", columns, rows, right=("bins out", "bins weight"))


def _print_narrow(row: dict[str, Any]) -> None:
    """A layer in two lines or so, for terminals in which the table would be a ladder of broken words."""
    facts = [
        row["activation_bins"] and f"{row['activation_bins']} bins out",
        row["weight_bins"] and f"{row['weight_bins']} of weights",
        _rule(row) and f"rule {_rule(row)}",
        row["form"],
        row["kernel"],
    ]
    print_line(f"{row['name']}: {_operation(row)}, {_shape(row)}")
    if any(facts):
        print_line(f"    {', '.join(fact for fact in facts if fact)}")
