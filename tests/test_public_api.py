# SPDX-License-Identifier: Apache-2.0
"""The public face of the package: every name is there, whatever was imported before it."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from small_models import DIGITS, digits, images

import fewbins


@pytest.mark.parametrize("name", fewbins.__all__)
def test_every_public_name_loads(name):
    assert getattr(fewbins, name) is not None


def test_functions_win_over_the_modules_of_their_names():
    code = (
        "import fewbins.quantize, fewbins.verify, fewbins.evaluate, fewbins; from fewbins.quantize import prepare; "
        "assert callable(fewbins.quantize) and callable(fewbins.verify) and callable(fewbins.evaluate)"
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


def shown(value: object) -> str:
    text = repr(value)
    assert "\n" not in text and len(text) < 300 and text.startswith(f"<{type(value).__name__}")
    return text


def test_graphs_models_and_sessions_say_what_they_are(tmp_path):
    graph, model = fewbins.load_onnx(DIGITS), digits()
    model.save(tmp_path / "m.fewbins")
    assert "'digits': image (batch, 1, 8, 8) -> logits (batch, 10), 17 nodes (4 Conv" in shown(graph)
    assert "255x33,first=8bit,last=8bit: image" in shown(model) and "bytes of weights" in shown(model)
    assert "'m.fewbins': image" in shown(fewbins.Session(tmp_path / "m.fewbins", threads=1))
    assert shown(fewbins.Session(model, threads=1)).endswith("1 thread>")
    assert "logits" in shown(fewbins.InferenceSession(tmp_path / "m.fewbins"))
    assert shown(graph.tensors["image"]) == "<Tensor 'image': activation, float32 (batch, 1, 8, 8)>"


HOSTILE = "<script>alert('x')</script>\n\x1b[2J"


def hostile_graph() -> fewbins.Graph:
    graph = fewbins.load_onnx(DIGITS)
    node = graph.nodes[0].with_(name=HOSTILE, outputs=(HOSTILE,))
    readers = [
        n.with_(inputs=tuple(HOSTILE if i == graph.nodes[0].output else i for i in n.inputs)) for n in graph.nodes
    ]
    tensors = {HOSTILE: fewbins.Tensor(HOSTILE, graph.tensors[graph.nodes[0].output].shape), **graph.tensors}
    return fewbins.Graph((node, *readers[1:]), tensors, graph.inputs, graph.outputs, HOSTILE).validate()


MAKERS = {
    "graph": lambda graph: graph,
    "model": lambda graph: fewbins.quantize(graph, images()),
    "session": lambda graph: fewbins.Session(fewbins.quantize(graph, scheme="float")),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_tables_for_notebooks_escape_names(make):
    value = make(hostile_graph())
    html = value._repr_html_()
    assert html.startswith("<table>") and html.count("<tr>") > 2
    assert "<script" not in html and "\x1b" not in html and "\x1b" not in repr(value)


def test_long_tables_end_in_a_count():
    from fewbins.graph.show import html_table

    assert "and 40 more" in html_table("t", ["n"], [[k] for k in range(100)])


def run(job):
    session, x = job
    return session.run(x)


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_sessions_work_in_process_pools(tmp_path, method):
    import multiprocessing

    digits().save(tmp_path / "m.fewbins")
    x = images(4)
    sessions = [fewbins.Session(s, threads=1) for s in (tmp_path / "m.fewbins", digits(), digits().to_bytes())]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of fork beside threads
        with multiprocessing.get_context(method).Pool(2) as pool:
            results = pool.map(run, [(session, x) for session in sessions])
    for result in results:
        np.testing.assert_array_equal(result, sessions[0].run(x))


def test_copies_and_pickles_are_equal_and_keep_their_options():
    x = images(3)
    session = fewbins.Session(digits(), threads=1, isa="scalar", check_finite=True)
    for copied in (copy.copy(session), copy.deepcopy(session), pickle.loads(pickle.dumps(session))):
        np.testing.assert_array_equal(copied.run(x), session.run(x))
        assert repr(copied) == repr(session)
        with pytest.raises(fewbins.ArgumentError):
            copied.run(np.full_like(x, np.nan))
    again = pickle.loads(pickle.dumps(fewbins.InferenceSession(digits().to_bytes(), fewbins.SessionOptions(1))))
    np.testing.assert_array_equal(again.run(None, {"image": x})[0], session.run(x))
    for model in (copy.deepcopy(digits()), pickle.loads(pickle.dumps(digits()))):
        assert model.to_bytes() == digits().to_bytes() and list(model.rows) == list(digits().rows)
    graph = fewbins.load_onnx(DIGITS)
    for other in (copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))):
        assert fewbins.quantize(other, x).to_bytes() == fewbins.quantize(graph, x).to_bytes()


def test_a_session_of_a_relative_path_opens_again_elsewhere(tmp_path, monkeypatch):
    digits().save(tmp_path / "m.fewbins")
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps(fewbins.Session("m.fewbins"))
    monkeypatch.chdir("/")
    assert pickle.loads(data).run(images(1)).shape == (1, 10)


def test_session_run_is_typed_by_what_goes_in(tmp_path):
    """A type checker knows an array from an array, and either from a mapping."""
    (tmp_path / "snippet.py").write_text(
        "import fewbins, numpy as np\n"
        "session = fewbins.Session('m.fewbins')\n"
        "x = np.zeros((1, 1, 8, 8), np.float32)\n"
        "reveal_type(session.run(x))\n"
        "reveal_type(session.run({'image': x}))\n"
        "reveal_type(session.run([x]))\n"
        "session.run(3)\n"
    )
    cache = DIGITS.parents[1] / ".mypy_cache" / "tests"
    command = [sys.executable, "-m", "mypy", "--cache-dir", cache, "--follow-imports=silent", "snippet.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    notes = [line.split("note: Revealed type is ")[1] for line in done.stdout.splitlines() if "Revealed" in line]
    array = "numpy.ndarray[Any, numpy.dtype[Any]]"
    either = f"{array} | dict[str, {array}]"
    assert [note.strip('"').replace("builtins.", "") for note in notes] == [array, either, either], done.stdout
    assert "snippet.py:7: error: No overload variant" in done.stdout


def test_nothing_is_printed_by_a_program_that_sets_up_no_logging():
    code = (
        "import sys; sys.path.insert(0, 'tests'); import fewbins; from small_models import DIGITS, images; "
        "fewbins.quantize(DIGITS, images(4))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=DIGITS.parents[1])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
