# SPDX-License-Identifier: Apache-2.0
"""Session and InferenceSession: what goes in, what comes out, and what is refused."""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
import threading

import numpy as np
import onnx
import pytest
from small_models import DIGITS, digits, digits_bytes, images

import fewbins


@pytest.fixture(scope="module")
def session():
    return fewbins.Session(digits_bytes(), threads=1)


def test_array_list_and_dict_give_the_same_result(session):
    x, name = images(3), session.inputs[0].name
    want = session.run(x)
    assert want.dtype == np.float32 and want.shape == (3, 10)
    np.testing.assert_array_equal(session.run([x]), want)
    np.testing.assert_array_equal(session.run({name: x}), want)


def test_a_strided_view_gives_the_result_of_its_copy(session):
    x = np.ascontiguousarray(images(6))
    np.testing.assert_array_equal(session.run(x[::2]), session.run(x[::2].copy()))


def test_batch_of_seven_equals_seven_runs(session):
    x = images(7)
    one_by_one = np.concatenate([session.run(x[i : i + 1]) for i in range(7)])
    np.testing.assert_array_equal(session.run(x), one_by_one)


@pytest.mark.parametrize(
    "feed",
    [
        np.zeros((1, 1, 8, 8)),
        np.zeros((1, 1, 8, 8), np.uint8),
        np.zeros((1, 1, 8, 9), np.float32),
        np.zeros((1, 8, 8), np.float32),
        [],
        [np.zeros((1, 1, 8, 8), np.float32)] * 2,
        {"nothing": np.zeros((1, 1, 8, 8), np.float32)},
        "images",
        None,
        3,
    ],
    ids=repr,
)
def test_a_feed_that_does_not_fit_says_what_would(session, feed):
    with pytest.raises(fewbins.ShapeError) as caught:
        session.run(feed)
    assert "\n" not in str(caught.value)


def two_free_sizes(shape_a, shape_b):
    text = f'<ir_version: 8, opset_import: ["": 17]> g ({shape_a} a, {shape_b} b) => (float[] y, float[] z) '
    graph = fewbins.load_onnx(onnx.parser.parse_model(text + "{ y = Relu(a) z = Relu(b) }"))
    return fewbins.Session(fewbins.quantize(graph, scheme="float"))


def test_one_size_on_two_axes_is_blamed_on_the_axes_of_that_input():
    session = two_free_sizes("float[N,3,S,S]", "float[N,2]")
    with pytest.raises(fewbins.ShapeError, match=r"input 'a' has shape .*axes 2 and 3 must be of one size"):
        session.run([np.zeros((1, 3, 4, 5), np.float32), np.zeros((1, 2), np.float32)])


def test_one_size_in_two_inputs_names_both():
    session = two_free_sizes("float[N,3,S,S]", "float[N,2]")
    with pytest.raises(fewbins.ShapeError, match="input 'b' has N = 2, but input 'a' has 1"):
        session.run([np.zeros((1, 3, 4, 4), np.float32), np.zeros((2, 2), np.float32)])


def test_an_empty_batch_gives_an_empty_result(session):
    assert session.run(images(0)).shape == (0, 10)


def test_check_finite_refuses_nan_and_infinity():
    x = images(2)
    x[1, 0, 3, 3] = np.nan
    with pytest.raises(fewbins.FewbinsError, match=r"NaN|nan|finite"):
        fewbins.Session(digits_bytes(), check_finite=True).run(x)


def test_nan_gives_the_zero_point_without_check_finite(session):
    x, zero = images(1), images(1)
    x[0, 0, 3, 3], zero[0, 0, 3, 3] = np.nan, 0.0
    np.testing.assert_array_equal(session.run(x), session.run(zero))


def test_several_threads_may_use_one_session(session):
    x = images(4)
    want, got = session.run(x), {}

    def work(key: int) -> None:
        for _ in range(20):
            got[key] = session.run(x)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(got) == 4
    for result in got.values():
        np.testing.assert_array_equal(result, want)


def test_threads_below_one_are_refused():
    with pytest.raises(fewbins.ArgumentError, match="threads is 0"):
        fewbins.Session(digits_bytes(), threads=0)


def test_an_unknown_isa_is_refused_with_the_known_ones():
    with pytest.raises(fewbins.FewbinsError, match="avx2"):
        fewbins.Session(digits_bytes(), isa="mmx")


def test_inference_session_has_the_signatures_of_onnx_runtime(tmp_path):
    digits().save(tmp_path / "digits.fewbins")
    session = fewbins.InferenceSession(str(tmp_path / "digits.fewbins"), providers=["CPUExecutionProvider"])
    x, value = images(2), session.get_inputs()[0]
    assert (value.type, value.shape[1:]) == ("tensor(float)", [1, 8, 8])
    assert isinstance(value.shape[0], str)
    (all_outputs,) = session.run(None, {value.name: x})
    (named,) = session.run([session.get_outputs()[0].name], {value.name: x})
    np.testing.assert_array_equal(all_outputs, named)
    with pytest.raises(fewbins.ArgumentError, match="not an output"):
        session.run(["nothing"], {value.name: x})


def test_plan_and_profile_name_every_step(session):
    plan = session.plan([[1, 1, 8, 8]])
    assert {"Conv", "Gemm"} <= {row["op"] for row in plan}
    assert all(row["kernel"] for row in plan if row["op"] == "Conv")
    profile = session.profile(images(1), repeats=3)
    assert [row["name"] for row in profile] == [row["name"] for row in plan]
    assert all(row["median_ms"] >= 0 for row in profile)


def test_trace_gives_levels_as_bytes_and_the_output_as_run_gives_it(session):
    x = images(2)
    traced = session.trace(x)
    kinds = {array.dtype for array in traced.values()}
    assert kinds == {np.dtype(np.uint8), np.dtype(np.float32)}
    np.testing.assert_array_equal(traced[session.outputs[0].name], session.run(x))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: fewbins.Session("net.onnx"), r"quantize it first: .*fewbins\.quantize\('net\.onnx', images\)"),
        (lambda: fewbins.InferenceSession(DIGITS), "quantize it first"),
        (lambda: fewbins.Session(fewbins.load_onnx(DIGITS)), "a Graph is a float network; quantize it first"),
        (lambda: fewbins.Session(onnx.load(DIGITS)), "a ModelProto is a float network"),
        (lambda: fewbins.Session(3), "model is 3"),
        (lambda: fewbins.Session(None), "type NoneType"),
        (lambda: fewbins.Session(b"x"), "too few"),
        (lambda: fewbins.Session(DIGITS.parent), "cannot read"),
        (lambda: fewbins.Session(b"x", threads=1.5), r"threads is 1\.5"),
        (lambda: fewbins.Session(b"x", threads=True), "threads is True"),
        (lambda: fewbins.Session(b"x", isa=3), "isa is 3"),
        (lambda: fewbins.Session(b"x", kernel=3), "kernel is 3"),
        (lambda: fewbins.Session(digits()).trace(images(1), "y"), "names is 'y'"),
        (lambda: fewbins.Session(digits()).trace(images(1), [3]), "names is"),
        (lambda: fewbins.Session(digits()).trace(images(1), ["nothing"]), "nothing"),
        (lambda: fewbins.Session(digits()).plan(3), "shapes is 3"),
        (lambda: fewbins.Session(digits()).plan([["a"]]), "shapes is"),
        (lambda: fewbins.Session(digits()).plan([]), "takes 1"),
        (lambda: fewbins.Session(digits()).profile(images(1), 0), "repeats is 0"),
        (lambda: fewbins.Session(digits()).profile(images(1), 2.5), r"repeats is 2\.5"),
    ],
)  # fmt: skip
def test_what_no_session_takes_is_an_error_of_ours_in_one_line(make, says):
    with pytest.raises(fewbins.FewbinsError, match=says) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_threads_are_those_that_really_run():
    assert fewbins.Session(digits_bytes(), threads=3).threads == 3
    # 100 stacks do not fit into 100 MB of addresses: some threads are refused, and the run goes on with the others.
    code = (
        "import resource, sys, fewbins, numpy as np\n"
        "session = fewbins.Session(sys.argv[1], threads=100)\n"
        "pages = int(open('/proc/self/statm').read().split()[0])\n"
        "limit = pages * resource.getpagesize() + 100_000_000\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "print(session.threads, session.run(np.zeros((40, 1, 8, 8), np.float32)).shape)"
    )
    with tempfile.NamedTemporaryFile(suffix=".fewbins") as file:
        file.write(digits_bytes())
        file.flush()
        done = subprocess.run([sys.executable, "-c", code, file.name], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    threads, shape = done.stdout.split(maxsplit=1)
    assert 1 <= int(threads) < 100 and shape.strip() == "(40, 10)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"isa": "scalar", "kernel": "u4_1x8k4__scalar"}, "kernel 'u4_1x8k4__scalar' fits no layer"),
        ({"kernel": "add_float__scalar"}, "kernel 'add_float__scalar' fits no layer"),
        ({"kernel": "nothing"}, "kernel 'nothing' is unknown"),
    ],
)
def test_a_forced_kernel_that_no_layer_takes_is_refused_by_name(options, message):
    with pytest.raises(fewbins.ArgumentError, match=message):
        fewbins.Session(digits_bytes(), **options)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="needs a second architecture to name")
def test_an_instruction_set_of_another_architecture_is_refused():
    other = "neon" if platform.machine() == "x86_64" else "avx2"
    with pytest.raises(fewbins.ArgumentError, match=f"isa '{other}' is an instruction set of another architecture"):
        fewbins.Session(digits_bytes(), isa=other)
