# SPDX-License-Identifier: Apache-2.0
"""`import fewbins` is quick and brings in nothing that a user did not ask for."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import time
start = time.perf_counter()
import fewbins
seconds = time.perf_counter() - start
import json, sys
print(json.dumps({"seconds": seconds, "loaded": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


def fresh_import() -> dict[str, object]:
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    return dict(json.loads(result.stdout))


def test_import_takes_less_than_300_ms() -> None:
    # the best of three: other programs use the machine too
    fastest = min(float(str(fresh_import()["seconds"])) for _ in range(3))
    assert fastest < 0.3


def test_import_loads_no_optional_or_slow_package() -> None:
    loaded = fresh_import()["loaded"]
    assert isinstance(loaded, list)
    optional = {"onnx", "onnxruntime", "torch", "PIL", "scipy", "sklearn", "matplotlib", "jinja2"}
    assert not (optional | {"rich", "typer", "click"}) & set(loaded)


def test_a_public_name_is_loaded_on_first_use() -> None:
    program = "import fewbins, sys; fewbins.Levels.of(23); print('onnx' in sys.modules, 'torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]
