# SPDX-License-Identifier: Apache-2.0
"""What all tests share: the data folder, reproducible randomness, and that nothing is skipped in silence."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import hypothesis
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("FEWBINS_DATA") or ROOT.parent / "shared" / "data")

# The same examples on every machine and run; a longer hunt is HYPOTHESIS_PROFILE=hunt.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("hunt", max_examples=2000, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real networks and images; use it only in tests marked `data`."""
    if not DATA.is_dir():
        pytest.skip(f"{DATA} does not exist; set FEWBINS_DATA to the folder of real networks and images")
    return DATA


@pytest.fixture(scope="session")
def digits_onnx() -> Path:
    """The small CNN of the examples: convolutions with batch normalization, a residual, pooling and a linear layer."""
    return ROOT / "examples" / "digits.onnx"


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers that depend on the test's name and FEWBINS_SEED only; the seed is printed when the test fails."""
    seed = int(os.environ.get("FEWBINS_SEED", "0"))
    request.node.add_report_section("setup", "seed", f"FEWBINS_SEED={seed}")
    return np.random.default_rng([seed, *request.node.nodeid.encode()])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the tests marked `data` where there is no data folder."""
    wanted = [item for item in items if item.get_closest_marker("data")]
    if wanted and not DATA.is_dir():
        for item in wanted:
            item.add_marker(pytest.mark.skip(reason=f"no data folder {DATA}; set FEWBINS_DATA"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the skip of a `data` test into a failure where the data folder is there: it had what it needs."""
    report = yield
    if report.skipped and item.get_closest_marker("data") and DATA.is_dir() and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although {DATA} is there: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was not tested."""
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "data" in report.keywords]
    if skipped:
        terminalreporter.section("NOT TESTED", red=True)
        terminalreporter.line(f"{len(skipped)} tests need the data folder, and {DATA} (FEWBINS_DATA) does not exist")
