# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's values and bindings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fewbins.data.items import as_array
from fewbins.errors import ArgumentError

if TYPE_CHECKING:
    from fewbins.onnxruntime_api.inference import InferenceSession

Array = np.ndarray[Any, np.dtype[Any]]


class OrtValue:
    """An array with ONNX Runtime's methods; always in the memory of the CPU."""

    def __init__(self, array: Array) -> None:
        self._array = array

    @classmethod
    def ortvalue_from_numpy(cls, array: Array, device_type: str = "cpu", device_id: int = 0) -> OrtValue:
        """A value that shares the array's memory."""
        if device_type != "cpu":
            raise ArgumentError(f"device '{device_type}' is not here; fewbins runs on the CPU: device_type='cpu'")
        return cls(as_array(array))

    def numpy(self) -> Array:
        """The array."""
        return self._array

    def shape(self) -> list[int]:
        """Its sizes."""
        return list(self._array.shape)

    def data_type(self) -> str:
        """ONNX Runtime's name of its type."""
        return {"float32": "tensor(float)", "float64": "tensor(double)"}.get(
            self._array.dtype.name, f"tensor({self._array.dtype.name})"
        )

    def device_name(self) -> str:
        """Where it lies: "cpu"."""
        return "cpu"

    def is_tensor(self) -> bool:
        """Yes."""
        return True


class IOBinding:
    """Inputs and outputs of a run by name, as ONNX Runtime binds them; arrays are not copied twice, nor kept apart."""

    def __init__(self, session: InferenceSession) -> None:
        self._names = [info.name for info in session.get_outputs()]
        self._inputs: dict[str, Array] = {}
        self._bound: dict[str, Array | None] = {}
        self._results: list[Array] = []

    def bind_cpu_input(self, name: str, arr_on_cpu: Array) -> None:
        """Give an input."""
        self._inputs[name] = as_array(arr_on_cpu)

    def bind_ortvalue_input(self, name: str, ortvalue: OrtValue) -> None:
        """Give an input."""
        self._inputs[name] = ortvalue.numpy()

    def bind_output(self, name: str, device_type: str = "cpu", *_: Any, **__: Any) -> None:
        """Ask for an output."""
        if device_type != "cpu":
            raise ArgumentError(f"device '{device_type}' is not here; fewbins runs on the CPU: device_type='cpu'")
        self._bound[name] = None

    def bind_ortvalue_output(self, name: str, ortvalue: OrtValue) -> None:
        """Ask for an output in this value's memory."""
        self._bound[name] = ortvalue.numpy()

    def copy_outputs_to_cpu(self) -> list[Array]:
        """The outputs of the last run, in the order in which they were bound."""
        return self._results

    def get_outputs(self) -> list[OrtValue]:
        """The outputs of the last run."""
        return [OrtValue(array) for array in self._results]

    def clear_binding_inputs(self) -> None:
        """Forget the inputs."""
        self._inputs.clear()

    def clear_binding_outputs(self) -> None:
        """Forget the outputs."""
        self._bound.clear()

    def run(self, session: InferenceSession) -> None:
        """Run with what is bound; all outputs where none is."""
        names = list(self._bound) or self._names
        self._results = session.run(names, self._inputs)
        for place, (name, array) in enumerate(zip(names, self._results, strict=True)):
            memory = self._bound.get(name)
            if memory is None:
                continue
            if memory.shape != array.shape or memory.dtype != array.dtype:
                raise ArgumentError(
                    f"output '{name}' is {array.dtype} {array.shape}; it was bound to {memory.dtype} {memory.shape}"
                )
            memory[...] = array
            self._results[place] = memory
