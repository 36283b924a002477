# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's Python interface over our engine, so that a script works after `import fewbins as ort`.

Which of its options do something here, and which are taken and ignored, is in docs/onnxruntime.md.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from fewbins.checks import check_names, shown
from fewbins.data.items import as_array
from fewbins.errors import ArgumentError, warn
from fewbins.model import QuantizedModel
from fewbins.session import Session, TensorInfo

Array = np.ndarray[Any, np.dtype[Any]]
PROVIDERS = ("FewbinsExecutionProvider", "CPUExecutionProvider")


class GraphOptimizationLevel(Enum):
    """Taken and ignored: a model file is optimized when it is made."""

    ORT_DISABLE_ALL = 0
    ORT_ENABLE_BASIC = 1
    ORT_ENABLE_EXTENDED = 2
    ORT_ENABLE_LAYOUT = 3
    ORT_ENABLE_ALL = 99


class ExecutionMode(Enum):
    """Taken and ignored: nodes run one after the other, each on all threads."""

    ORT_SEQUENTIAL = 0
    ORT_PARALLEL = 1


@dataclass
class _Options:
    """Options with ONNX Runtime's names; a name that it does not have is an error, as there."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in type(self).__dataclass_fields__:
            raise AttributeError(f"{type(self).__name__} has no option '{name}'")
        super().__setattr__(name, value)


@dataclass
class SessionOptions(_Options):
    """ONNX Runtime's options of a session.

    Attributes:
        intra_op_num_threads: threads of one run; 0 takes what this process may use. All others are ignored.
    """

    intra_op_num_threads: int = 0
    inter_op_num_threads: int = 0
    graph_optimization_level: GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL
    execution_mode: ExecutionMode = ExecutionMode.ORT_SEQUENTIAL
    execution_order: Any = None
    enable_cpu_mem_arena: bool = True
    enable_mem_pattern: bool = True
    enable_mem_reuse: bool = True
    enable_profiling: bool = False
    profile_file_prefix: str = "onnxruntime_profile_"
    optimized_model_filepath: str = ""
    use_deterministic_compute: bool = False
    logid: str = ""
    log_severity_level: int = 2
    log_verbosity_level: int = 0
    _entries: dict[str, str] = field(default_factory=dict, repr=False)

    def add_session_config_entry(self, key: str, value: str) -> None:
        """Keep an entry, which nothing reads."""
        self._entries[key] = value

    def get_session_config_entry(self, key: str) -> str:
        """An entry that was added."""
        if key not in self._entries:
            raise ArgumentError(f"there is no session config entry '{key}'")
        return self._entries[key]


@dataclass
class RunOptions(_Options):
    """ONNX Runtime's options of a run; all are ignored."""

    logid: str = ""
    log_severity_level: int = 2
    log_verbosity_level: int = 0
    only_execute_path_to_fetches: bool = False
    terminate: bool = False
    training_mode: bool = False
    _entries: dict[str, str] = field(default_factory=dict, repr=False)

    def add_run_config_entry(self, key: str, value: str) -> None:
        """Keep an entry, which nothing reads."""
        self._entries[key] = value


@dataclass(frozen=True)
class ModelMetadata:
    """What `InferenceSession.get_modelmeta` returns; `custom_metadata_map` has the scheme, and labels as lines."""

    producer_name: str
    graph_name: str
    custom_metadata_map: dict[str, str]
    domain: str = ""
    description: str = ""
    graph_description: str = ""
    version: int = 0


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


class InferenceSession:
    """`onnxruntime.InferenceSession` over a .fewbins file, so that a script changes one import and the model's path.

    Args:
        path_or_bytes: a .fewbins file.
        sess_options: a SessionOptions, ours or ONNX Runtime's; only its intra_op_num_threads is used.
        providers: names, or pairs of a name and options; there is one provider, this engine on the CPU, so that others
            are ignored with a FewbinsWarning.
        provider_options: ignored.

    Example:
        session = fewbins.InferenceSession("resnet18.fewbins", providers=["CPUExecutionProvider"])
        (logits,) = session.run(None, {session.get_inputs()[0].name: x})
    """

    def __init__(
        self,
        path_or_bytes: str | os.PathLike[str] | bytes,
        sess_options: Any = None,
        providers: Sequence[Any] | None = None,
        provider_options: Sequence[Any] | None = None,
        **_: Any,
    ) -> None:
        _check_providers(providers)
        options = SessionOptions() if sess_options is None else sess_options
        threads = getattr(options, "intra_op_num_threads", None)
        if isinstance(threads, bool) or not isinstance(threads, int):
            raise ArgumentError(
                f"sess_options is of type {type(options).__name__} with intra_op_num_threads {threads!r}; give a "
                "SessionOptions whose intra_op_num_threads is an integer, 0 for what this process may use"
            )
        self._options = options
        self.session = Session(path_or_bytes, threads or None)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (type(self), self.session, getattr(self._options, "intra_op_num_threads", 0))

    def __repr__(self) -> str:
        return repr(self.session).replace("<Session", f"<{type(self).__name__}", 1)

    def get_inputs(self) -> list[TensorInfo]:
        """The inputs, in order, then those that the network has and does not read."""
        return [*self.session.inputs, *self.session.unread]

    def get_outputs(self) -> list[TensorInfo]:
        """The outputs, in order."""
        return self.session.outputs

    def get_overridable_initializers(self) -> list[TensorInfo]:
        """None: constants are part of the model."""
        return []

    def get_modelmeta(self) -> ModelMetadata:
        """The graph's name, the scheme and the labels."""
        model = loaded_model(self.session)
        entries = {"scheme": model.scheme}
        if model.labels is not None:
            entries["labels"] = "\n".join(model.labels)
        return ModelMetadata("fewbins", model.graph.name, entries)

    def get_providers(self) -> list[str]:
        """This engine, which is also what a script that asks for the CPU gets."""
        return list(PROVIDERS)

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        """No options."""
        return {name: {} for name in PROVIDERS}

    def set_providers(self, providers: Sequence[Any] | None = None, provider_options: Any = None) -> None:
        """Check the names; there is nothing to choose."""
        _check_providers(providers)

    def get_session_options(self) -> Any:
        """The options it was made with."""
        return self._options

    def run(
        self,
        output_names: Sequence[str] | None,
        input_feed: Mapping[str, Any],
        run_options: Any = None,
    ) -> list[Array]:
        """Run once.

        Args:
            output_names: which outputs, in which order; None or an empty list for all.
            input_feed: name -> array or OrtValue, for every input.
            run_options: ignored.
        """
        if isinstance(output_names, str):
            raise ArgumentError(f"output_names is '{output_names}'; give a list: ['{output_names}']")
        check_names("output_names", output_names, "outputs' names, or None for all of them")
        if not isinstance(input_feed, Mapping):
            raise ArgumentError(f"input_feed is of type {type(input_feed).__name__}; give a dict of arrays by name")
        names = [info.name for info in self.session.outputs]
        wanted = list(output_names or names)
        for name in wanted:
            if name not in names:
                raise ArgumentError(f"'{name}' is not an output; the model's outputs are {', '.join(names)}")
        result = self.session.run(input_feed)
        arrays = result if isinstance(result, dict) else {names[0]: result}
        return [arrays[name] for name in wanted]

    def run_with_ort_values(
        self, output_names: Sequence[str] | None, input_dict_ort_values: Mapping[str, OrtValue], run_options: Any = None
    ) -> list[OrtValue]:
        """As `run`, with OrtValues in and out."""
        return [OrtValue(array) for array in self.run(output_names, input_dict_ort_values, run_options)]

    def io_binding(self) -> IOBinding:
        """An empty binding of inputs and outputs."""
        return IOBinding(self)

    def run_with_iobinding(self, iobinding: IOBinding, run_options: Any = None) -> None:
        """Run with what is bound."""
        iobinding.run(self)

    def end_profiling(self) -> str:
        """The empty string: no profile is written; `Session.profile` measures every step."""
        return ""

    def disable_fallback(self) -> None:
        """Nothing to disable."""

    def enable_fallback(self) -> None:
        """Nothing to enable."""


def get_available_providers() -> list[str]:
    """This engine, which is also what a script that asks for the CPU gets."""
    return list(PROVIDERS)


def get_all_providers() -> list[str]:
    """As `get_available_providers`."""
    return list(PROVIDERS)


def get_device() -> str:
    """Where models run: "CPU"."""
    return "CPU"


def set_default_logger_severity(severity: int) -> None:
    """Taken and ignored; logging is `logging.getLogger("fewbins")`."""


def set_default_logger_verbosity(verbosity: int) -> None:
    """Taken and ignored; logging is `logging.getLogger("fewbins")`."""


def _check_providers(providers: Any) -> None:
    if providers is None:
        return
    if isinstance(providers, str) or not isinstance(providers, Sequence):
        raise ArgumentError(f"providers is {shown(providers)}; give a list of names, or leave it out")
    names = [entry[0] if isinstance(entry, tuple | list) and entry else entry for entry in providers]
    others = [str(name) for name in names if name not in PROVIDERS]
    if others:
        warn(f"providers {', '.join(others)} are not here and are ignored; the model runs on the CPU")


def loaded_model(session: Session) -> QuantizedModel:
    """The model that a session runs, read again from what it was opened from."""
    source = session.source
    if isinstance(source, QuantizedModel):
        return source
    if isinstance(source, str):
        return QuantizedModel.load(source)
    return QuantizedModel.from_bytes(source if isinstance(source, bytes) else source.to_bytes())


def _reopened(cls: type[InferenceSession], session: Session, threads: int) -> InferenceSession:
    """A session as it was pickled. Of its options the threads alone matter, and ONNX Runtime's do not pickle."""
    made = cls.__new__(cls)
    made.session, made._options = session, SessionOptions(intra_op_num_threads=threads)
    return made
