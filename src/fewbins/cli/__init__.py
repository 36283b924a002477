# SPDX-License-Identifier: Apache-2.0
"""The command line: one file per verb; each parses, calls the API and prints."""

from fewbins.cli.app import main

__all__ = ["main"]
