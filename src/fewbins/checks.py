# SPDX-License-Identifier: Apache-2.0
"""Checks of arguments at the doors of the package: what is of a wrong type is an ArgumentError of one line."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fewbins.errors import ArgumentError

MAX_SHOWN = 60


def shown(value: object) -> str:
    """A value on one line of bounded length.

    >>> shown([1, 2]), shown("a" * 100)[-5:]
    ('[1, 2]', 'aa...')
    """
    text = " ".join(repr(value).split())
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def is_word(value: object, words: Iterable[str]) -> bool:
    """Whether a value is one of some words."""
    return isinstance(value, str) and value in words


def check_integer(name: str, value: object, least: int, most: int = 2**31 - 1) -> None:
    """Refuse what is no integer from `least` to `most`; a bool is none.

    >>> check_integer("batch", 1.5, 1)
    Traceback (most recent call last):
    fewbins.errors.ArgumentError: batch is 1.5; it must be an integer of at least 1
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ArgumentError(f"{name} is {shown(value)}; it must be an integer of at least {least}")
    if value > most:
        raise ArgumentError(f"{name} is {shown(value)}; it must be at most {most}")


def check_integers(name: str, values: object, least: int) -> None:
    """Refuse what is no sequence of integers, or an empty one."""
    if not isinstance(values, Sequence | range) or isinstance(values, str | bytes) or not values:
        raise ArgumentError(f"{name} is {shown(values)}; give a list of integers")
    for value in values:
        check_integer(f"one of {name}", value, least)


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool | np.bool_) and not (isinstance(value, int) and value in (0, 1)):
        raise ArgumentError(f"{name} is {shown(value)}; it must be True or False")


def check_names(name: str, values: object, what: str) -> None:
    """Refuse what is neither None nor a sequence of strings."""
    if values is None:
        return
    if not isinstance(values, Sequence) or isinstance(values, str) or not all(isinstance(v, str) for v in values):
        raise ArgumentError(f"{name} is {shown(values)}; give a list of {what}")


def check_callable(name: str, value: object, signature: str, *, optional: bool = True) -> None:
    """Refuse what is no function, nor None where that may be."""
    if not callable(value) and not (optional and value is None):
        raise ArgumentError(f"{name} is {shown(value)}; give a function of {signature}")


def check_mapping(name: str, value: object, what: str, *, optional: bool = True) -> None:
    """Refuse what is no mapping with strings as keys, nor None where that may be."""
    if optional and value is None:
        return
    if not (isinstance(value, Mapping) and all(isinstance(key, str) for key in value)):
        raise ArgumentError(f"{name} is {shown(value)}; give a dict of {what}")


def check_list_of_mappings(name: str, values: object) -> None:
    """Refuse what is no sequence of mappings."""
    if not isinstance(values, Sequence) or not all(isinstance(value, Mapping) for value in values):
        raise ArgumentError(f"{name} is {shown(values)}; give a list of mappings")


def path_text(path: Any) -> str:
    """The path as a string.

    >>> path_text(3)
    Traceback (most recent call last):
    fewbins.errors.ArgumentError: the path is 3; give a string or a pathlib.Path
    """
    if not isinstance(path, str | os.PathLike):
        raise ArgumentError(f"the path is {shown(path)}; give a string or a pathlib.Path")
    text = os.fspath(path)
    if not isinstance(text, str) or "\0" in text:
        raise ArgumentError(f"the path is {shown(text)}; give a string without zero characters, or a pathlib.Path")
    return text
