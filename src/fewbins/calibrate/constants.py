# SPDX-License-Identifier: Apache-2.0
"""Notice calibration images that say nothing."""

from __future__ import annotations

from collections.abc import Iterator

from fewbins.calibrate.images import Sample
from fewbins.errors import warn
from fewbins.graph import Graph


class ConstantImages:
    """Whether an input holds one value in all calibration images, as zeros and ones do that stand in for images."""

    def __init__(self, graph: Graph) -> None:
        # Inputs that are no pictures or signals, such as a gain, may well be constant.
        self._slots = [slot for slot, name in enumerate(graph.inputs) if len(graph.tensors[name].shape) >= 3]
        self._names = graph.inputs
        self._values: dict[int, float | None] = {}

    def watch(self, samples: Iterator[Sample]) -> Iterator[Sample]:
        """The samples as they come."""
        for sample in samples:
            for slot in self._slots:
                array = sample[slot]
                value = self._values.setdefault(slot, float(array.flat[0]) if array.size else None)
                if value is not None and not (array == value).all():
                    self._values[slot] = None
            yield sample

    def warn(self) -> None:
        """Warn of the first input that is constant."""
        for slot, value in self._values.items():
            if value is not None:
                warn(
                    f"all calibration images of input '{self._names[slot]}' hold nothing but the value {value:g}; the "
                    "ranges are wrong unless the network sees such images: check how they are read"
                )
                return
