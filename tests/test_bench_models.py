# SPDX-License-Identifier: Apache-2.0
"""`fewbins bench models`: what it times, and beside what."""

from __future__ import annotations

import importlib.util

from fewbins.bench import models


def test_without_onnx_runtime_our_own_engines_are_timed_and_its_absence_is_said(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    said: list[str] = []
    assert models.default_engines(said.append) == ["fb_float", "fb_8bit", "fb_255x33"]
    assert len(said) == 1 and "pip install 'fewbins[bench]'" in said[0]
