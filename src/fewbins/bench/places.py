# SPDX-License-Identifier: Apache-2.0
"""Where benchmarks find shared networks and tools, and where they keep derived files."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

from fewbins.errors import DataError


def data_dir() -> Path:
    """FEWBINS_DATA, by default ../shared/data beside the checkout's root."""
    if os.environ.get("FEWBINS_DATA"):
        return Path(os.environ["FEWBINS_DATA"])
    return Path(__file__).resolve().parents[3].parent / "shared" / "data"


def tool(name: str) -> Path | None:
    """A file of the tools folder beside the data, or None."""
    path = data_dir().parent / "tools" / name
    return path if path.is_file() else None


def cache_dir() -> Path:
    """FEWBINS_CACHE_DIR, by default fewbins in the user's cache folder; made when missing."""
    base = os.environ.get("FEWBINS_CACHE_DIR") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "fewbins"
    )
    path = Path(base)
    path.mkdir(parents=True, exist_ok=True)
    return path


def network(name: str) -> Path:
    """The ONNX file of a network: a path, or the name of one that speed_models.py builds (random weights)."""
    if name.endswith(".onnx"):
        if not os.path.isfile(name):
            raise DataError(f"'{name}' does not exist")
        return Path(name)
    script = tool("speed_models.py")
    if script is None:
        raise DataError(
            f"network '{name}' is built by speed_models.py, which is not in '{data_dir().parent / 'tools'}'; "
            "set FEWBINS_DATA or give an .onnx file"
        )
    module = _load(script)
    if name not in module.MODELS:
        raise DataError(f"network '{name}' is unknown; one of {', '.join(module.MODELS)}, or an .onnx file")
    path = cache_dir() / f"{name}.onnx"
    import onnx

    model = module.MODELS[name]()
    data = model.SerializeToString()
    if not path.is_file() or path.read_bytes() != data:
        onnx.save(model, str(path))
    return path


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
