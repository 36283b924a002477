# SPDX-License-Identifier: Apache-2.0
"""Fresh names: the one place where names of new tensors, nodes and free sizes are made.

A name that is made of another one, such as "conv1/weight", may be in the network already. So whoever adds something to
a graph asks here, and gets the name that he wants or one like it.
"""

from __future__ import annotations

from collections.abc import Iterable

from fewbins.limits import MAX_NAME_BYTES

# What the model file keeps for itself: the constant of all activation scales, fillers between constants, and
# safetensors' key for metadata.
SCALES = "__scales"
PADDING = "__pad"
RESERVED_PREFIXES = (SCALES, PADDING, "__metadata__")

_ROOM_FOR_COUNT = 16
_PART_BYTES = (MAX_NAME_BYTES - _ROOM_FOR_COUNT) // 2 - 2


class Names:
    """The names that are taken, and fresh ones beside them.

    Example:
        >>> names = Names(["conv1", "conv1/weight"])
        >>> names.fresh("conv1/weight"), names.fresh("conv1/weight"), names.fresh("conv1/bias")
        ('conv1/weight:2', 'conv1/weight:3', 'conv1/bias')
        >>> names.fresh("__scales"), names.fresh("")
        ('___scales', 'unnamed')
    """

    def __init__(self, taken: Iterable[str] = (), given: Iterable[str] = ()) -> None:
        """Start with names that are in use, and with those that a network gives its own parts and `keep` hands out."""
        self._given = set(given)
        self._taken = {*taken, *self._given}
        # Where the search for a free number begins: many equal names must not cost the square of their number.
        self._counts: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        """Whether something has that name."""
        return name in self._taken

    def fresh(self, wanted: str) -> str:
        """A name that nothing has yet, and that is taken from now on.

        Args:
            wanted: given as it is where it is free and a model file can hold it. Too long a name loses its middle, one
                that the file keeps for itself gets a "_" in front, and a taken one a number behind.
        """
        base = _storable(wanted)
        name, count = base, self._counts.get(base, 1)
        while name in self._taken:
            count += 1
            name = f"{base}:{count}"
        self._counts[base] = count
        self._taken.add(name)
        return name

    def keep(self, name: str) -> str:
        """A part's own name, where it is the first of that name and a model file can hold it; else a fresh one.

        >>> names = Names(given=["conv", "conv:pad"])
        >>> names.fresh("conv:pad"), names.keep("conv"), names.keep("conv"), names.keep("conv:pad")
        ('conv:pad:2', 'conv', 'conv:2', 'conv:pad')
        """
        if name in self._given and _storable(name) == name:
            self._given.remove(name)
            return name
        return self.fresh(name)


def _storable(name: str) -> str:
    """The name, or one like it that a model file can hold."""
    while name.startswith(RESERVED_PREFIXES):
        name = f"_{name}"
    encoded = name.encode(errors="replace")
    if len(encoded) > MAX_NAME_BYTES:
        ends = (encoded[:_PART_BYTES], encoded[-_PART_BYTES:])
        name = "...".join(end.decode(errors="ignore") for end in ends)
    return name or "unnamed"


__all__ = ["PADDING", "RESERVED_PREFIXES", "SCALES", "Names"]
