# SPDX-License-Identifier: Apache-2.0
"""3x3 layers in every form that the engine has, with weights warm, and cold as in a network at batch 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fewbins import _engine
from fewbins.bench.bins import BenchScheme
from fewbins.bench.turns import ISAS, Tick, last_core, pinned, take_turns
from fewbins.errors import ArgumentError

OTHER_BYTES = 64 << 20  # of weights in other layers, when the engine chooses a form for a cold layer
SCHEMES = ("float", "8bit", "255x33", "128x85", "64x29", "26x37", "23x23")
DENSE, DEPTHWISE = ("dot32", "dot16", "winograd"), ("depthwise_dot32", "depthwise_dot16")


@dataclass(frozen=True)
class Layer:
    """A 3x3 layer, stride 1, padding 1, as many channels out as in; depthwise: one filter per channel.

    >>> Layer.of("14x14x576dw")
    Layer(height=14, width=14, channels=576, depthwise=True)
    """

    height: int
    width: int
    channels: int
    depthwise: bool = False

    @classmethod
    def of(cls, text: str) -> Layer:
        """A layer from HxWxC, with dw behind it for depthwise.

        Raises:
            ArgumentError: text of another form.
        """
        sizes = text.removesuffix("dw").split("x")
        if len(sizes) != 3 or not all(s.isdigit() and 0 < int(s) <= 4096 for s in sizes):
            raise ArgumentError(f"layer '{text}' is not HxWxC or HxWxCdw with sizes of 1 to 4096")
        return cls(int(sizes[0]), int(sizes[1]), int(sizes[2]), text.endswith("dw"))

    def __str__(self) -> str:
        return f"{self.height}x{self.width}x{self.channels}" + "dw" * self.depthwise


LAYERS = tuple(map(Layer.of, ("56x56x64", "28x28x128", "14x14x256", "7x7x512", "112x112x32dw", "14x14x576dw")))


def run(
    isas: Sequence[str],
    *,
    layers: Sequence[Layer] = LAYERS,
    schemes: Sequence[str] = SCHEMES,
    weights: str = "natural",
    core: int | None = None,
    rounds: int = 7,
    seconds: float = 0.01,
    tick: Tick = lambda done, total, text: None,
) -> list[dict[str, Any]]:
    """Measure layers in every form, requantization included.

    Args:
        isas: instruction sets of this machine, by the engine's names.
        layers: what to measure.
        schemes: see `BenchScheme.of`.
        weights: "natural" or "worst", as for products.
        core: where to pin; by default the last that this process may use.
        rounds: turns of each.
        seconds: length of a turn.
        tick: called with layers done, all layers, and a text.

    Returns:
        Rows with engine, isa, scheme, form, shape, gmacs (multiply-adds of the direct form), peak_fraction, temperature
        (of the weights: warm or cold), selected (what the engine takes), over_direct (times faster than the best direct
        form of the scheme), over_8bit and over_float (than their best direct form).

    Raises:
        SchemeError, ArgumentError: a name that is unknown.
    """
    chosen = [BenchScheme.of(name) for name in schemes]
    for scheme in chosen:
        if scheme.family not in ("f32", "dot32", "dot16"):
            raise ArgumentError(f"scheme '{scheme.name}' has no forms of convolution to compare")
    pin = last_core() if core is None else core
    rows: list[dict[str, Any]] = []
    done, total = 0, len(isas) * len(layers)
    for isa in isas:
        for layer in layers:
            tick(done, total, f"{isa} {layer}")
            rows += _layer(isa, layer, chosen, weights, pin, rounds, seconds)
            done += 1
    tick(total, total, "")
    return rows


@dataclass
class _Form:
    scheme: str
    subject: _engine.Subject
    selected: dict[str, bool]


def _layer(
    isa: str, layer: Layer, schemes: Sequence[BenchScheme], weights: str, core: int, rounds: int, seconds: float
) -> list[dict[str, Any]]:
    forms = [form for scheme in schemes for form in _forms(isa, layer, scheme, weights)]
    mixes = sorted({(form.subject.mix, form.subject.mix_isa) for form in forms if form.subject.mix})
    peaks = [_engine.bench_peak(mix, of) for mix, of in mixes]
    turns: list[Callable[[float], Sequence[float]]] = [_turn(peak, 0.3, False) for peak in peaks]
    for form in forms:
        turns += [_turn(form.subject, 1.0, False), _turn(form.subject, 1.0, True)]
    with pinned(core):
        times = take_turns(turns, rounds, seconds, lambda: None)
    rates = {mix: peak.macs / t.median_ms / 1e6 for mix, peak, t in zip(mixes, peaks, times, strict=False)}
    rows = []
    for index, t in enumerate(times[len(peaks) :]):
        form, temperature = forms[index // 2], ("warm", "cold")[index % 2]
        subject = form.subject
        gmacs = subject.macs / t.median_ms / 1e6
        peak = rates.get((subject.mix, subject.mix_isa))
        rows.append(
            {
                "engine": "fewbins",
                "isa": isa,
                "scheme": form.scheme,
                "form": subject.form,
                "shape": str(layer),
                "gmacs": gmacs,
                "peak_fraction": None if peak is None else gmacs / peak,
                **asdict(t),
                "peak_gmacs": peak,
                "kernel": subject.kernel,
                "temperature": temperature,
                "selected": form.selected[temperature],
            }
        )
    _compare(rows)
    return rows


def _forms(isa: str, layer: Layer, scheme: BenchScheme, weights: str) -> list[_Form]:
    """What the engine selects, and every other form of the newest kernels in reach; twins are left out."""

    def make(kernel: str, other_bytes: int = 0) -> _engine.Subject:
        return _engine.bench_conv(
            (layer.height, layer.width, layer.channels),
            layer.depthwise,
            scheme.levels,
            scheme.family == "f32",
            isa,
            kernel=kernel,
            weights=weights,
            other_bytes=other_bytes,
        )

    def key(subject: _engine.Subject) -> tuple[str, str]:
        return subject.form, subject.kernel

    selected = {"warm": make(""), "cold": make("", OTHER_BYTES)}
    families = (
        ("depthwise_f32" if layer.depthwise else "f32",)
        if scheme.family == "f32"
        else (DEPTHWISE if layer.depthwise else DENSE)
    )
    found = {key(subject): subject for subject in selected.values()}
    for name in _newest(isa, families):
        subject = make(name)
        found.setdefault(key(subject), subject)
    return [
        _Form(scheme.name, subject, {word: key(one) == which for word, one in selected.items()})
        for which, subject in found.items()
    ]


def _newest(isa: str, families: Sequence[str]) -> list[str]:
    """The kernels of each family that are of the newest instruction set in reach.

    >>> _newest("scalar", ["dot16"])
    ['dot16_1x8k4__scalar']
    """
    order = {name: index for index, name in enumerate(("scalar", *ISAS))}
    names = []
    for family in families:
        rows = [row for row in _engine.bench_kernels(isa) if row["family"] == family]
        best = max((order[row["isa"]] for row in rows), default=-1)
        names += [row["name"] for row in rows if order[row["isa"]] == best]
    return names


def _turn(subject: _engine.Subject, share: float, cold: bool) -> Callable[[float], Sequence[float]]:
    return lambda seconds: subject.run(seconds * share, 3, cold)


def _compare(rows: list[dict[str, Any]]) -> None:
    """Adds the ratios to the best direct forms of one layer."""
    best: dict[tuple[str, str], float] = {}
    for row in rows:
        if not row["form"].startswith("winograd"):
            which = row["scheme"], row["temperature"]
            best[which] = max(best.get(which, 0.0), row["gmacs"])
    for row in rows:
        for name, scheme in (("over_direct", row["scheme"]), ("over_8bit", "8bit"), ("over_float", "float")):
            base = best.get((scheme, row["temperature"]))
            row[name] = None if base is None else row["gmacs"] / base
