# SPDX-License-Identifier: Apache-2.0
"""L0: the grammar of scheme strings, what each layer gets, and the errors."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fewbins.errors import FewbinsError, FewbinsWarning, SchemeError
from fewbins.levels import Levels
from fewbins.scheme import OPTIONS, ROLE_WORDS, LayerInfo, LayerScheme, Override, Scheme, Selector

LAYERS = [
    LayerInfo("conv1", "conv", is_first=True),
    LayerInfo("layer1.0.conv1", "conv"),
    LayerInfo("layer1.0.dw", "dw"),
    LayerInfo("layer3.0.conv1", "conv"),
    LayerInfo("layer3.0.conv2", "conv"),
    LayerInfo("fc", "fc", is_last=True),
]


def resolved(text: str) -> dict[str, str]:
    return {name: str(scheme) for name, scheme in Scheme.parse(text).resolve(LAYERS).items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("255x33", LayerScheme("bins", Levels.of(255), Levels(-16, 16))),
        ("8bit", LayerScheme("bins", Levels(-128, 127), Levels(-127, 127))),
        ("4bit", LayerScheme("bins", Levels(-8, 7), Levels(-7, 7))),
        ("u4", LayerScheme("u4", Levels(0, 15), Levels(0, 15), "tensor")),
        ("float", LayerScheme("float")),
        ("w15", LayerScheme("weights", None, Levels(-7, 7))),
        ("w16:asym", LayerScheme("weights", None, Levels(-8, 7), asym=True)),
        ("lut4", LayerScheme("lut4", Levels(-128, 127), Levels(-127, 127))),
        ("lut4:po2", LayerScheme("lut4", Levels(-128, 127), Levels(-127, 127), requantize="shift", po2=True)),
        ("23x23:tensor", LayerScheme("bins", Levels(-11, 11), Levels(-11, 11), "tensor")),
        ("23x23:fixed", LayerScheme("bins", Levels(-11, 11), Levels(-11, 11), requantize="fixed")),
        ("23x23:po2", LayerScheme("bins", Levels(-11, 11), Levels(-11, 11), po2=True)),
        ("23x23:shift", LayerScheme("bins", Levels(-11, 11), Levels(-11, 11), requantize="shift", po2=True)),
    ],
)
def test_bases_mean_what_the_contract_says(text: str, expected: LayerScheme) -> None:
    assert LayerScheme.parse(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("256x255", "8bit"),
        ("256x256", "8bit"),
        ("16x15", "4bit"),
        ("23x24", "23x23"),
        ("w256", "w255"),
        ("8bit:channel", "8bit"),
        ("u4:tensor", "u4"),
        ("lut4-po2", "lut4:po2"),
        ("lut4-po2:tensor", "lut4:tensor:po2"),
        ("lut4:shift", "lut4:po2"),
        ("lut4:po2:shift", "lut4:po2"),
        ("8bit:po2:shift:tensor", "8bit:tensor:shift"),
        ("8bit:fixed:po2", "8bit:po2:fixed"),
        (" 8bit , first = float ", "8bit,first=float"),
        ("8bit,'conv'=float", '8bit,"conv"=float'),
        ('8bit,"conv1"=float', "8bit,conv1=float"),
    ],
)
def test_spellings_have_one_canonical_form(text: str, canonical: str) -> None:
    assert str(Scheme.parse(text)) == canonical


def kinds() -> st.SearchStrategy[str]:
    bins = st.integers(3, 256)
    return st.one_of(
        st.sampled_from(["8bit", "4bit", "u4", "float", "lut4", "lut4-po2"]),
        st.builds("{}x{}".format, bins, bins),
        st.builds("w{}".format, bins),
    )


@st.composite
def layer_schemes(draw: st.DrawFn) -> LayerScheme:
    """Random words; combinations outside the grammar are reduced until they are inside."""
    kind = draw(kinds())
    words = draw(st.lists(st.sampled_from(OPTIONS), unique=True))
    while True:
        try:
            return LayerScheme.parse(":".join([kind, *words]))
        except SchemeError:
            words.pop()


def selectors() -> st.SearchStrategy[Selector]:
    names = st.one_of(st.text(min_size=1), st.text("ab,=:\"'\\ *?[]", min_size=1), st.sampled_from(ROLE_WORDS))
    return st.one_of(
        st.builds(Selector, st.sampled_from(ROLE_WORDS), is_word=st.just(True)), st.builds(Selector, names)
    )


@given(layer_schemes(), st.lists(st.builds(Override, selectors(), layer_schemes()), max_size=3))
def test_every_scheme_is_read_back_from_its_spelling(base: LayerScheme, overrides: list[Override]) -> None:
    scheme = Scheme(base, tuple(overrides))
    assert Scheme.parse(str(scheme)) == scheme
    assert str(Scheme.parse(str(scheme))) == str(scheme)


@given(st.text(alphabet="0123456789xw8bitu4floatluc,=:\"'\\* p2shednr"))
def test_any_text_is_a_scheme_or_a_scheme_error_of_one_line(text: str) -> None:
    try:
        Scheme.parse(text)
    except SchemeError as error:
        assert "\n" not in str(error)


def test_every_number_of_bins_is_accepted_and_no_other() -> None:
    for bins in range(3, 257):
        assert LayerScheme.parse(f"{bins}x{bins}").activation == Levels.of(bins)
        assert LayerScheme.parse(f"w{bins}").weight == Levels.weights(bins)
    for text in ("2x3", "3x2", "257x3", "3x257", "w2", "w257", "0x0", "999999999x3"):
        with pytest.raises(SchemeError, match="3 to 256"):
            LayerScheme.parse(text)


def test_role_words_select_by_role_and_place() -> None:
    assert resolved("255x33,first=8bit,last=w15")["conv1"] == "8bit"
    assert resolved("255x33,first=8bit,last=w15")["fc"] == "w15"
    assert resolved("255x33,dw=8bit") == {
        name: "8bit" if name == "layer1.0.dw" else "255x33" for name in (layer.name for layer in LAYERS)
    }
    conv = resolved("255x33,conv=8bit")
    assert [name for name, scheme in conv.items() if scheme == "8bit"] == [
        "conv1",
        "layer1.0.conv1",
        "layer3.0.conv1",
        "layer3.0.conv2",
    ]


def test_a_glob_selects_by_name() -> None:
    layers = resolved("8bit,layer3.*=23x23")
    assert [name for name, scheme in layers.items() if scheme == "23x23"] == ["layer3.0.conv1", "layer3.0.conv2"]


def test_an_override_replaces_the_whole_base_options_included() -> None:
    assert resolved("8bit:tensor:shift,fc=23x23")["fc"] == "23x23"


def test_later_overrides_win() -> None:
    assert resolved("8bit,first=float,conv=23x23")["conv1"] == "23x23"
    assert resolved("8bit,conv=23x23,first=float")["conv1"] == "float"
    assert resolved('8bit,"fc"=23x23,"fc"=float')["fc"] == "float"


def test_a_literal_name_wins_over_a_later_glob_or_word() -> None:
    assert resolved("8bit,layer3.0.conv1=float,layer3.*=23x23")["layer3.0.conv1"] == "float"
    assert resolved("8bit,conv1=float,conv=23x23")["conv1"] == "float"


def test_a_quoted_word_is_a_node_name() -> None:
    layers = [LayerInfo("conv", "fc"), LayerInfo("other", "conv")]
    by_name = Scheme.parse('8bit,"conv"=float').resolve(layers)
    by_role = Scheme.parse("8bit,conv=float").resolve(layers)
    assert [str(scheme) for scheme in by_name.values()] == ["float", "8bit"]
    assert [str(scheme) for scheme in by_role.values()] == ["8bit", "float"]


def test_a_name_that_looks_like_a_glob_means_the_node_of_that_name() -> None:
    layers = [LayerInfo("block[0]", "conv"), LayerInfo("block0", "conv")]
    assert [str(scheme) for scheme in Scheme.parse("8bit,block[0]=float").resolve(layers).values()] == ["float", "8bit"]


def test_names_with_separators_are_quoted() -> None:
    layers = [LayerInfo('a:0,b="x"', "conv")]
    scheme = Scheme.parse(r'8bit,"a:0,b=\"x\""=float')
    assert str(scheme.resolve(layers)[layers[0].name]) == "float"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8bits", "did you mean '8bit'"),
        ("flaot", "did you mean 'float'"),
        ("", "the scheme is empty"),
        ("8bit:tensors", "did you mean 'tensor'"),
        ("8bit:fixed:shift", "'fixed' and 'shift' exclude each other"),
        ("lut4:po2:fixed", "implies 'shift'"),
        ("8bit:tensor:channel", "'tensor' and 'channel' exclude each other"),
        ("8bit:asym", "'asym' does not go with this kind"),
        ("u4:channel", "'channel' does not go with this kind"),
        ("float:tensor", "takes no options"),
        ("w15:shift", "'shift' does not go with this kind"),
        ("8bit:po2:po2", "given twice"),
        ("first=8bit", "put a base first"),
        ("8bit,first", "write selector=base"),
        ("8bit,first=", "scheme '' is unknown"),
        ("8bit,=8bit", "a selector is empty"),
        ('8bit,"fc=8bit', "never closed"),
        ('8bit,"fc"x=8bit', "follows the quoted name"),
        ("8bit,a:0=8bit", 'as in "a:0"=8bit'),
        ("8bit,fc=8bits", "did you mean '8bit'"),
    ],
)
def test_text_outside_the_grammar_is_refused_with_a_hint(text: str, message: str) -> None:
    with pytest.raises(SchemeError) as caught:
        Scheme.parse(text)
    assert message in str(caught.value)
    assert isinstance(caught.value, FewbinsError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8bit,layer3.0.conv3=float", "did you mean 'layer3.0.conv2'"),
        ("8bit,frist=float", "did you mean 'first'"),
        ("8bit,layer9.*=float", "matches no layer"),
    ],
)
def test_a_selector_that_matches_nothing_prints_the_nearest(text: str, message: str) -> None:
    with pytest.raises(SchemeError) as caught:
        Scheme.parse(text).resolve(LAYERS)
    assert message in str(caught.value)


def test_a_role_that_no_layer_has_is_refused_with_the_roles_there_are() -> None:
    with pytest.raises(SchemeError, match=r"'dw' matches no layer of this model; it has first, conv$"):
        Scheme.parse("8bit,dw=float").resolve([LayerInfo("a", "conv", is_first=True)])


def test_attributes_that_no_string_describes_are_refused() -> None:
    for make in (
        lambda: LayerScheme("bins", Levels(-5, 6), Levels.weights(33)),
        lambda: LayerScheme("bins", Levels.of(23), Levels(-8, 7)),
        lambda: LayerScheme("bins", Levels.of(23)),
        lambda: LayerScheme("float", Levels.of(23)),
        lambda: LayerScheme("u4", Levels.u4(), Levels.u4(), "channel"),
        lambda: LayerScheme("bins", Levels.of(23), Levels.weights(23), requantize="shift"),
        lambda: LayerScheme("nonsense"),  # type: ignore[arg-type]
    ):
        with pytest.raises(SchemeError, match="no scheme string describes"):
            make()


def test_which_inputs_a_layer_reads_as_they_are() -> None:
    eight, narrow = Levels.of(256), Levels.of(23)
    assert LayerScheme.parse("8bit").reads(narrow)
    assert LayerScheme.parse("lut4").reads(narrow)
    assert LayerScheme.parse("255x33").reads(eight)
    assert LayerScheme.parse("255x255").reads(Levels.of(255))
    assert not LayerScheme.parse("255x255").reads(eight)
    assert not LayerScheme.parse("u4").reads(narrow)
    assert not LayerScheme.parse("float").reads(eight)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("w8", "write w255 for 8 bits, w7 for"),
        ("w4", "write w15 for 4 bits, w3 for"),
        ("w16:tensor", "write w255 for 8 bits, the most there are, w15 for"),
        ("255x33,fc=w8", "w8:asym"),
        ("int8", "did you mean '8bit'"),
        ("W8A8", "did you mean '8bit'"),
        ("int4", "did you mean '4bit'"),
        ("fp32", "did you mean 'float'"),
        ("255x33;first=8bit", "write '255x33,first=8bit'"),
        ("255x33 first=8bit; last=8bit", "write '255x33,first=8bit,last=8bit'"),
        ("8bit,first=8bit;last=8bit", "write '8bit,first=8bit,last=8bit'"),
        (8, "is of type int; give a string"),
    ],
)
def test_what_other_tools_write_is_refused_with_what_to_write(text: str, says: str) -> None:
    with pytest.raises(SchemeError) as caught:
        Scheme.parse(text)
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["w8:asym", "w7", "w9", "8bit,a;b=float", '8bit,"w8"=float', "16x16", "15x8"])
def test_what_can_only_be_meant_as_it_stands_is_taken(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Scheme.parse(text)


@pytest.mark.parametrize("text", ["8x8", "8bit,fc=8x4", "16x8"])
def test_bits_written_as_bins_are_warned_of(text: str) -> None:
    with pytest.warns(FewbinsWarning, match="bins of activations"):
        Scheme.parse(text)
