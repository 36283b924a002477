# SPDX-License-Identifier: Apache-2.0
"""The public face of the package: every name is there, whatever was imported before it."""

from __future__ import annotations

import subprocess
import sys

import pytest

import fewbins


@pytest.mark.parametrize("name", fewbins.__all__)
def test_every_public_name_loads(name):
    assert getattr(fewbins, name) is not None


def test_functions_win_over_the_modules_of_their_names():
    code = (
        "import fewbins.quantize, fewbins.verify, fewbins; from fewbins.quantize import prepare; "
        "assert callable(fewbins.quantize) and callable(fewbins.verify)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        fewbins.nothing  # noqa: B018


def test_every_error_is_a_fewbins_error_and_a_built_in():
    for name in fewbins.__all__:
        value = getattr(fewbins, name)
        if value in (fewbins.FewbinsError, fewbins.FewbinsWarning):
            continue
        if isinstance(value, type) and issubclass(value, Exception):
            assert issubclass(value, fewbins.FewbinsError)
            assert issubclass(value, (ValueError, OSError, MemoryError, RuntimeError))
