# SPDX-License-Identifier: Apache-2.0
"""The docstrings are the reference: public names say what goes in and out, in which units, and what is an error."""

from __future__ import annotations

import inspect

import pytest

import fewbins

APART = ("fewbins.onnxruntime", "fewbins.errors")
# What mirrors ONNX Runtime is described as a whole in docs/onnxruntime.md. Errors say what they are in one line.
OWN = [
    name
    for name in fewbins.__all__
    if not getattr(getattr(fewbins, name), "__module__", "fewbins.errors").startswith(APART)
]
FUNCTIONS = [name for name in OWN if inspect.isfunction(getattr(fewbins, name))]
CLASSES = [name for name in OWN if inspect.isclass(getattr(fewbins, name))]
# Those that users call; Graph, Node and Tensor are what the importer makes and people look at.
CALLED = ["Session", "QuantizedModel", "Scheme", "Preprocessing", "Levels"]


def parameters(function: object) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]  # type: ignore[arg-type]


def methods(name: str) -> list[str]:
    cls = getattr(fewbins, name)
    return [
        f"{name}.{method}"
        for method, value in vars(cls).items()
        if not method.startswith("_") and (inspect.isfunction(value) or isinstance(value, (classmethod, staticmethod)))
    ]


def test_the_public_names_are_found():
    assert {"quantize", "load_onnx", "verify"} <= set(FUNCTIONS)
    assert set(CALLED) <= set(CLASSES)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_says_what_goes_in_and_out_what_is_an_error_and_shows_a_call(name):
    function = getattr(fewbins, name)
    text = inspect.getdoc(function) or ""
    for section in ("Args:", "Returns:", "Raises:"):
        assert section in text, section
    assert "Example:" in text or ">>>" in text
    assert [p for p in parameters(function) if f"    {p}: " not in text] == []


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_describes_what_it_holds(name):
    text = inspect.getdoc(getattr(fewbins, name)) or ""
    assert len(text.split()) >= 12, text
    assert name not in CALLED or "Example:" in text or ">>>" in text


@pytest.mark.parametrize("name", [method for cls in CALLED for method in methods(cls)])
def test_a_method_describes_each_of_its_parameters_and_its_errors(name):
    cls, method = name.split(".")
    function = getattr(getattr(fewbins, cls), method)
    text = inspect.getdoc(function) or ""
    assert text
    names = parameters(function)
    assert [p for p in names if f"    {p}: " not in text and f"`{p}`" not in text] == []
    assert not names or "Raises:" in text or ">>>" in text
