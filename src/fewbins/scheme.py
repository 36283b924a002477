# SPDX-License-Identifier: Apache-2.0
"""Scheme strings: how many bins each layer gets, and how it is computed. The grammar is in docs/schemes.md.

>>> scheme = Scheme.parse("255x33,first=8bit,last=8bit")
>>> scheme.base.activation.bins, scheme.base.weight.bins
(255, 33)
>>> str(scheme)
'255x33,first=8bit,last=8bit'
>>> layers = [LayerInfo("a", "conv", is_first=True), LayerInfo("b", "conv"), LayerInfo("c", "fc", is_last=True)]
>>> {name: str(layer) for name, layer in scheme.resolve(layers).items()}
{'a': '8bit', 'b': '255x33', 'c': '8bit'}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, get_args

from fewbins.errors import SchemeError
from fewbins.levels import Levels, fits_dot16, pairs
from fewbins.scheme_hints import BINS, MEANT, WEIGHT_BINS, check_bits, did_you_mean, short, with_commas

Kind = Literal["bins", "u4", "float", "weights", "lut4"]
Granularity = Literal["tensor", "channel"]
Rule = Literal["float", "fixed", "shift"]
Role = Literal["conv", "fc", "dw"]

ROLE_WORDS = ("first", "last", "conv", "fc", "dw")
OPTIONS = ("tensor", "channel", "asym", "po2", "fixed", "shift")

_ACTIVATION_8BIT, _WEIGHT_8BIT = Levels.of(256), Levels.weights(256)
_NAMED_BINS = {"8bit": (256, 255), "4bit": (16, 15)}
_OPTIONS_OF: dict[Kind, tuple[str, ...]] = {
    "bins": ("tensor", "channel", "po2", "fixed", "shift"),
    "u4": ("tensor", "po2", "fixed", "shift"),
    "float": (),
    "weights": ("tensor", "channel", "asym", "po2"),
    "lut4": ("tensor", "channel", "po2", "fixed", "shift"),
}
_SEPARATOR = re.compile("[,=:]")


@dataclass(frozen=True)
class LayerInfo:
    """What a scheme needs to know about a node with weights.

    Attributes:
        name: of the node, unique.
        role: "conv" (ConvTranspose included), "dw" (depthwise) or "fc".
        is_first: no other node with weights lies before it on some path from an input.
        is_last: no other node with weights lies after it on some path to an output.
    """

    name: str
    role: Role
    is_first: bool = False
    is_last: bool = False


@dataclass(frozen=True)
class LayerScheme:
    """What one layer gets.

    Attributes:
        kind: "bins" (integers), "u4" (the 2020 algorithm), "float", "weights" (integer weights, float32 arithmetic) or
            "lut4" (4-bit indices into a table of int8 weights).
        activation: levels of the input; None where activations are float32.
        weight: levels of the weights (of the table's entries for "lut4"); None for "float".
        granularity: one weight scale per "tensor" or per output "channel".
        requantize: rule from the accumulator to the next tensor.
        po2: scales are powers of two.
        asym: weights have a zero point ("weights" only; "u4" always has one).

    Raises:
        SchemeError: attributes that do not go together.

    >>> LayerScheme.parse("23x23:tensor:fixed")
    LayerScheme(kind='bins', activation=Levels(lo=-11, hi=11), weight=Levels(lo=-11, hi=11), granularity='tensor',
    requantize='fixed', po2=False, asym=False)
    """

    kind: Kind
    activation: Levels | None = None
    weight: Levels | None = None
    granularity: Granularity = "channel"
    requantize: Rule = "float"
    po2: bool = False
    asym: bool = False

    def __post_init__(self) -> None:
        """Refuse what no scheme string can say, so that `LayerScheme.parse(str(s)) == s` for all of them."""
        if self.kind not in get_args(Kind) or self._respelled() != self:
            raise SchemeError(f"no scheme string describes {self!r}; build it with LayerScheme.parse")

    @classmethod
    def parse(cls, text: str) -> LayerScheme:
        """Read one base, such as "8bit", "255x33:tensor" or "lut4:po2".

        Raises:
            SchemeError: a word, a number of bins or a combination that is not in the grammar.

        >>> str(LayerScheme.parse("256x255:channel")), str(LayerScheme.parse("lut4-po2"))
        ('8bit', 'lut4:po2')
        """
        word, *given = (part.strip() for part in text.split(":"))
        if word == "lut4-po2":
            word, given = "lut4", ["po2", *given]
        kind, activation, weight = _parse_kind(word, asym="asym" in given)
        return cls(kind, activation, weight, *_option_fields(text, kind, given))

    @property
    def is_float(self) -> bool:
        """Whether the arithmetic is float32 ("float" and "weights")."""
        return self.kind in ("float", "weights")

    @property
    def is_8bit(self) -> bool:
        """Whether the input may take all 256 levels and the weights -127..127 ("8bit" and "lut4")."""
        return self.activation == _ACTIVATION_8BIT and self.weight == _WEIGHT_8BIT

    def reads(self, levels: Levels) -> bool:
        """Whether a layer of this scheme takes an input with these levels as it is, without a requantize node.

        It does when the levels are its own, when it is "8bit" or "lut4", or when its 16-bit form still holds them.

        >>> LayerScheme.parse("255x33").reads(Levels.of(256)), LayerScheme.parse("4bit").reads(Levels.u4())
        (True, True)
        >>> LayerScheme.parse("u4").reads(Levels.of(16)), LayerScheme.parse("63x65").reads(Levels.of(256))
        (False, False)
        """
        if self.activation is None or self.weight is None:
            return False
        if self.kind == "u4":
            return levels == self.activation
        return levels == self.activation or self.is_8bit or fits_dot16(levels.magnitude, self.weight.magnitude)

    def __str__(self) -> str:
        """The canonical spelling."""
        return ":".join([self._kind_word(), *self._option_words()])

    def _kind_word(self) -> str:
        if self.kind == "bins":
            bins = (self.activation.bins if self.activation else 0, self.weight.bins if self.weight else 0)
            return next((word for word, named in _NAMED_BINS.items() if named == bins), f"{bins[0]}x{bins[1]}")
        if self.kind == "weights":
            return f"w{self.weight.bins if self.weight else 0}"
        return self.kind

    def _option_words(self) -> list[str]:
        words = ["tensor"] if self.granularity == "tensor" and self.kind != "u4" else []
        words += ["asym"] if self.asym else []
        if self.kind == "lut4" and self.requantize == "shift":
            return [*words, "po2"]
        words += ["po2"] if self.po2 and self.requantize != "shift" else []
        return words + ([self.requantize] if self.requantize != "float" else [])

    def _respelled(self) -> LayerScheme | None:
        """What parsing the canonical spelling gives, made without running `__post_init__` again; None if it fails."""
        try:
            kind, activation, weight = _parse_kind(self._kind_word(), asym=self.asym)
            fields = _option_fields(str(self), kind, self._option_words())
        except SchemeError:
            return None
        return _unchecked(kind, activation, weight, *fields)


@dataclass(frozen=True)
class Selector:
    """Which layers an override is for.

    Attributes:
        text: a role word, or a node name that may be a glob.
        is_word: `text` is one of first, last, conv, fc, dw and means that role, not a node of that name.
    """

    text: str
    is_word: bool = False

    def __post_init__(self) -> None:
        """Refuse an empty name and an unknown word."""
        if not self.text:
            raise SchemeError("a selector is empty; write a node name or one of " + ", ".join(ROLE_WORDS))
        if self.is_word and self.text not in ROLE_WORDS:
            raise SchemeError(f"'{self.text}' is not a selector word (expected one of: {', '.join(ROLE_WORDS)})")

    def matches(self, layer: LayerInfo) -> bool:
        """Whether the override is for this layer.

        >>> layer = LayerInfo("layer3.0.a", "conv")
        >>> Selector("layer3.*").matches(layer), Selector("conv").matches(layer), Selector("conv", True).matches(layer)
        (True, False, True)
        """
        if not self.is_word:
            return layer.name == self.text or fnmatchcase(layer.name, self.text)
        if self.text == "first":
            return layer.is_first
        if self.text == "last":
            return layer.is_last
        return layer.role == self.text

    def __str__(self) -> str:
        """As in a scheme string, quoted where it must be."""
        plain = self.text not in ROLE_WORDS and self.text == self.text.strip() and self.text[0] not in "\"'"
        if self.is_word or (plain and not _SEPARATOR.search(self.text)):
            return self.text
        return '"' + self.text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True)
class Override:
    """A selector and the whole base that its layers get instead."""

    selector: Selector
    scheme: LayerScheme

    def __str__(self) -> str:
        """As in a scheme string."""
        return f"{self.selector}={self.scheme}"


@dataclass(frozen=True)
class Scheme:
    """How many bins each layer gets: a base for every layer, and overrides for some. The grammar is in docs/schemes.md.

    Attributes:
        base: what a layer gets that no override picks.
        overrides: what picks layers, and what they get; later ones win.

    Example:
        >>> str(Scheme.parse("256x255, first = 23x24"))
        '8bit,first=23x23'
    """

    base: LayerScheme
    overrides: tuple[Override, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Scheme:
        r"""Read a scheme string.

        Args:
            text: such as "255x33,first=8bit".

        Raises:
            SchemeError: text that is not in the grammar, with the nearest words that are.

        >>> Scheme.parse("8bit,layer3.*=23x23,\"odd,name\"=float").overrides[1].selector.text
        'odd,name'
        >>> Scheme.parse("8bits")
        Traceback (most recent call last):
        fewbins.errors.SchemeError: scheme '8bits' is unknown; did you mean '8bit' or '4bit'? ...
        """
        if not isinstance(text, str):
            raise SchemeError(f"the scheme is of type {type(text).__name__}; give a string such as '8bit', or a Scheme")
        if not text.strip():
            raise SchemeError("the scheme is empty; write one such as 8bit, 255x33 or 255x33,first=8bit,last=8bit")
        try:
            scheme = cls._parse(text)
        except SchemeError as error:
            meant = with_commas(text)
            try:
                cls._parse(meant)
            except SchemeError:
                raise error from None
            raise SchemeError(f"scheme '{short(text)}': parts are separated by commas; write '{meant}'") from None
        return scheme

    @classmethod
    def _parse(cls, text: str) -> Scheme:
        first, *rest = _split(text, ",", text)
        if len(_split(first, "=", text)) > 1:
            raise SchemeError(f"scheme '{short(text)}' starts with an override; put a base first, such as 8bit,{first}")
        check_bits(first)
        return cls(LayerScheme.parse(first), tuple(_parse_override(part, text) for part in rest))

    def resolve(self, layers: Sequence[LayerInfo]) -> dict[str, LayerScheme]:
        """What every layer gets: the base, or the last override that matches; an override by the full name wins.

        Args:
            layers: the nodes with weights.

        Returns:
            By name, in the order of `layers`.

        Raises:
            SchemeError: a selector that matches no layer, with the nearest names and words.

        >>> layers = [LayerInfo("stem", "conv"), LayerInfo("head", "fc")]
        >>> Scheme.parse("8bit,haed=float").resolve(layers)
        Traceback (most recent call last):
        fewbins.errors.SchemeError: selector 'haed' matches no layer; did you mean 'head'? ...
        """
        resolved = {layer.name: self.base for layer in layers}
        named = set()
        for override in self.overrides:
            selector = override.selector
            if not selector.is_word and selector.text in resolved:
                resolved[selector.text] = override.scheme
                named.add(selector.text)
                continue
            matched = [layer.name for layer in layers if selector.matches(layer)]
            if not matched:
                raise SchemeError(_unmatched(selector, layers))
            resolved.update((name, override.scheme) for name in matched if name not in named)
        return resolved

    def __str__(self) -> str:
        """The canonical spelling; `Scheme.parse` gives the same scheme back."""
        return ",".join([str(self.base), *map(str, self.overrides)])


def _parse_kind(word: str, *, asym: bool) -> tuple[Kind, Levels | None, Levels | None]:
    """Kind, activation levels and weight levels of the first word of a base."""
    if word in _NAMED_BINS:
        bins_a, bins_w = _NAMED_BINS[word]
        return "bins", Levels.of(bins_a), Levels.weights(bins_w)
    if word == "u4":
        return "u4", Levels.u4(), Levels.u4()
    if word == "float":
        return "float", None, None
    if word == "lut4":
        return "lut4", _ACTIVATION_8BIT, _WEIGHT_8BIT
    try:
        if match := BINS.fullmatch(word):
            return "bins", Levels.of(int(match[1])), Levels.weights(int(match[2]))
        if match := WEIGHT_BINS.fullmatch(word):
            bins = int(match[1])
            return "weights", None, Levels.of(bins) if asym else Levels.weights(bins)
    except SchemeError as error:
        raise SchemeError(f"scheme '{word}': {error}") from None
    if meant := MEANT.get(word.lower()):
        raise SchemeError(f"scheme '{short(word)}' is unknown; did you mean '{meant}'?")
    known = ["8bit", "4bit", "u4", "float", "lut4", "w255", "w15", "255x33", *(f"{a}x{w}" for a, w in pairs())]
    raise SchemeError(
        f"scheme '{short(word)}' is unknown; {did_you_mean(word, known)}"
        "write NxM (bins of activations x weights), 8bit, 4bit, u4, float, wM or lut4"
    )


def _option_fields(text: str, kind: Kind, given: Sequence[str]) -> tuple[Granularity, Rule, bool, bool]:
    """Granularity, rule, po2 and asym from the option words, with all implications."""
    allowed = _OPTIONS_OF[kind]
    for word in given:
        if word not in OPTIONS:
            raise SchemeError(
                f"scheme '{short(text)}': unknown option '{short(word)}'; {did_you_mean(word, OPTIONS)}"
                f"options are {', '.join(OPTIONS)}"
            )
        if word not in allowed:
            takes = f"takes only {', '.join(allowed)}" if allowed else "takes no options"
            raise SchemeError(f"scheme '{short(text)}': '{word}' does not go with this kind, which {takes}")
        if given.count(word) > 1:
            raise SchemeError(f"scheme '{short(text)}': option '{word}' is given twice")
    for one, other in (("tensor", "channel"), ("fixed", "shift")):
        if one in given and other in given:
            raise SchemeError(f"scheme '{short(text)}': options '{one}' and '{other}' exclude each other")
    shift = "shift" in given or (kind == "lut4" and "po2" in given)
    if shift and "fixed" in given:
        raise SchemeError(f"scheme '{short(text)}': lut4:po2 implies 'shift', which excludes 'fixed'")
    granularity: Granularity = "tensor" if "tensor" in given or kind == "u4" else "channel"
    rule: Rule = "shift" if shift else "fixed" if "fixed" in given else "float"
    return granularity, rule, shift or "po2" in given, "asym" in given


def _unchecked(
    kind: Kind,
    activation: Levels | None,
    weight: Levels | None,
    granularity: Granularity,
    requantize: Rule,
    po2: bool,
    asym: bool,
) -> LayerScheme:
    scheme = object.__new__(LayerScheme)
    fields = {"kind": kind, "activation": activation, "weight": weight, "granularity": granularity}
    for name, value in {**fields, "requantize": requantize, "po2": po2, "asym": asym}.items():
        object.__setattr__(scheme, name, value)
    return scheme


def _parse_override(part: str, text: str) -> Override:
    halves = _split(part, "=", text)
    if len(halves) != 2:
        raise SchemeError(f"scheme '{short(text)}': '{short(part)}' is not an override; write selector=base")
    check_bits(halves[1])
    return Override(_parse_selector(halves[0].strip(), text), LayerScheme.parse(halves[1]))


def _parse_selector(token: str, text: str) -> Selector:
    if token[:1] not in ('"', "'"):
        if _SEPARATOR.search(token):
            raise SchemeError(f"scheme '{short(text)}': quote the node name, as in \"{short(token)}\"=8bit")
        return Selector(token, is_word=token in ROLE_WORDS)
    end = _end_of_quote(token, 0, text)
    if end != len(token):
        raise SchemeError(f"scheme '{short(text)}': '{short(token[end:])}' follows the quoted name {token[:end]}")
    return Selector(re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL))


def _split(part: str, separator: str, text: str) -> list[str]:
    """Split at a separator outside quotes."""
    pieces, start, position = [], 0, 0
    while position < len(part):
        # A quote opens only at the start of a selector; elsewhere it is part of a name.
        if part[position] in "\"'" and not part[start:position].strip():
            position = _end_of_quote(part, position, text)
            continue
        if part[position] == separator:
            pieces.append(part[start:position])
            start = position + 1
        position += 1
    return [*pieces, part[start:]]


def _end_of_quote(part: str, start: int, text: str) -> int:
    position = start + 1
    while position < len(part):
        if part[position] == "\\":
            position += 1
        elif part[position] == part[start]:
            return position + 1
        position += 1
    raise SchemeError(f"scheme '{short(text)}': a quote that opens is never closed")


def _unmatched(selector: Selector, layers: Sequence[LayerInfo]) -> str:
    if selector.is_word:
        present = [word for word in ROLE_WORDS if any(Selector(word, is_word=True).matches(layer) for layer in layers)]
        has = f"it has {', '.join(present)}" if present else "it has no layers with weights"
        return f"selector '{selector.text}' matches no layer of this model; {has}"
    names = [layer.name for layer in layers]
    return (
        f"selector '{short(selector.text)}' matches no layer; {did_you_mean(selector.text, [*names, *ROLE_WORDS])}"
        "`fewbins inspect` lists the names"
    )
