# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's options and metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from fewbins.errors import ArgumentError


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
