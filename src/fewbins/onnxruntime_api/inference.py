# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's `InferenceSession`, and the functions of its module."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fewbins.checks import check_names, shown
from fewbins.errors import ArgumentError, warn
from fewbins.model import QuantizedModel
from fewbins.onnxruntime_api.options import ModelMetadata, SessionOptions
from fewbins.onnxruntime_api.values import IOBinding, OrtValue
from fewbins.session import Session, TensorInfo

Array = np.ndarray[Any, np.dtype[Any]]
PROVIDERS = ("FewbinsExecutionProvider", "CPUExecutionProvider")


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
