# SPDX-License-Identifier: Apache-2.0
"""Doctests of src: leave out what needs a package that is not installed."""

import importlib.util

collect_ignore_glob = []
if importlib.util.find_spec("torch") is None:
    collect_ignore_glob += ["src/fewbins/train/*", "src/fewbins/zoo/*", "src/fewbins/importers/torch_export.py"]
