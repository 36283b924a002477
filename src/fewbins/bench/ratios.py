# SPDX-License-Identifier: Apache-2.0
"""The ratios by which kernels are judged, from the medians of one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fewbins.bench.turns import geometric_mean

Rate = Callable[[str], float | None]  # of a shape


def ratios(isa: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Geometric means over the shapes with more than one row, and lut4 against 8bit at each shape of one row.

    Args:
        isa: the instruction set of all rows.
        rows: as `fewbins.bench.gemm.run` makes them.

    Returns:
        Rows with isa, ratio ("255x33 / 8bit"), form, shapes, value.
    """
    selected = [row for row in rows if row["selected"]]
    many = sorted({row["shape"] for row in selected if not row["shape"].startswith("1x")})
    few = sorted({row["shape"] for row in selected if row["shape"].startswith("1x")})
    gmacs = {(r["engine"], r["scheme"], r["form"], r["shape"]): r["gmacs"] for r in selected}
    fractions = {(r["engine"], r["scheme"], r["form"], r["shape"]): r["peak_fraction"] for r in selected}

    def ours(scheme: str, form: str) -> Rate:
        return lambda shape: gmacs.get(("fewbins", scheme, form, shape))

    def theirs(engine: str) -> Rate:
        return lambda shape: next((v for (e, _, _, s), v in gmacs.items() if e == engine and s == shape), None)

    def best_int8(shape: str) -> float | None:
        return max(
            (v for (e, scheme, _, s), v in gmacs.items() if e != "fewbins" and scheme == "8bit" and s == shape),
            default=None,
        )

    made: list[dict[str, Any]] = []

    def add(name: str, form: str, shapes: Sequence[str], value: Callable[[str], float | None]) -> None:
        values = [v for shape in shapes if (v := value(shape)) is not None]
        if values and len(values) == len(shapes):
            text = shapes[0] if len(shapes) == 1 else f"{len(shapes)} shapes"
            made.append({"isa": isa, "ratio": name, "form": form, "shapes": text, "value": geometric_mean(values)})

    def over(a: Rate, b: Rate) -> Rate:
        def value(shape: str) -> float | None:
            x, y = a(shape), b(shape)
            return None if x is None or y is None else x / y

        return value

    schemes = dict.fromkeys(row["scheme"] for row in selected if row["engine"] == "fewbins")
    engines = dict.fromkeys(row["engine"] for row in selected if row["engine"] != "fewbins")
    for form in ("int32", "requantized"):
        add("8bit / its peak", form, many, lambda shape, f=form: fractions.get(("fewbins", "8bit", f, shape)))  # type: ignore[misc]
        for engine in engines:
            if engine != "numpy":
                add(f"8bit / {engine}", form, many, over(ours("8bit", form), theirs(engine)))
        add("8bit / best other int8", form, many, over(ours("8bit", form), best_int8))
        for scheme in schemes:
            if scheme in ("float", "8bit", "lut4"):
                continue
            mine = ours(scheme, form)
            add(f"{scheme} / 8bit", form, many, over(mine, ours("8bit", form)))
            add(f"{scheme} / float", form, many, over(mine, ours("float", "float32")))
            add(f"{scheme} / best other int8", form, many, over(mine, best_int8))
    add("float / its peak", "float32", many, lambda shape: fractions.get(("fewbins", "float", "float32", shape)))
    add("float / numpy", "float32", many, over(ours("float", "float32"), theirs("numpy")))
    for shape in few:
        add("lut4 / 8bit", "int32", [shape], over(ours("lut4", "int32"), ours("8bit", "int32")))
        add("8bit / best other int8", "int32", [shape], over(ours("8bit", "int32"), best_int8))
    return made
