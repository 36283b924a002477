# SPDX-License-Identifier: Apache-2.0
"""Files that load_onnx must refuse in one line: not ONNX, truncated, hostile; and external data."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx_models import expected, normal, parse

from fewbins import oracle
from fewbins.errors import ArgumentError, FewbinsError, FileAccessError, ModelFileError, UnsupportedError
from fewbins.importers import load_onnx


def convolution(opset: int = 17) -> onnx.ModelProto:
    text = "(float[N,3,8,8] x) => (float[] y) { a = Conv<pads = [1, 1, 1, 1]>(x, w, b) y = Relu(a) }"
    return parse(text, opset, {"w": normal(64, 3, 3, 3), "b": normal(64)})


def one_line(error: BaseException) -> str:
    text = str(error)
    assert text
    assert "\n" not in text
    return text


def test_path_bytes_and_parsed_model_give_the_same_graph(tmp_path: Path) -> None:
    made = convolution()
    path = tmp_path / "net.onnx"
    onnx.save(made, path)
    graphs = [load_onnx(source) for source in (path, str(path), path.read_bytes(), made)]
    assert len({tuple((node.name, node.op) for node in graph.nodes) for graph in graphs}) == 1
    for graph in graphs:
        np.testing.assert_array_equal(graph.tensors["w"].value, graphs[0].tensors["w"].value)


def test_missing_file_folder_and_forbidden_name_are_access_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "none.onnx", tmp_path, "no\0name.onnx", "/dev/zero"):
        with pytest.raises(FileAccessError) as caught:
            load_onnx(path)
        one_line(caught.value)


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"not onnx at all", b"\x89PNG\r\n\x1a\n" + bytes(50), b"\x08"])
def test_a_file_that_is_not_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        load_onnx(path)
    assert str(path) in one_line(caught.value)


def test_every_truncation_is_refused_or_imported_but_never_crashes() -> None:
    content = convolution().SerializeToString()
    for length in (*range(0, 300, 7), *range(300, len(content), 501), len(content) - 1):
        try:
            load_onnx(content[:length])
        except FewbinsError as error:
            one_line(error)


def test_flipped_bytes_are_refused_or_imported_but_never_crash(rng: np.random.Generator) -> None:
    text = (
        "(float[N,3,8,8] x) => (float[] y) { a = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(x, w, b) "
        "m = MaxPool<kernel_shape = [2, 2]>(a) s = Shape(m) n = Gather(s, zero) t = Concat<axis = 0>(n, minus) "
        "f = Reshape(m, t) g = Gemm<transB = 1>(f, v) y = Softmax(g) }"
    )
    constants = {
        "w": normal(4, 3, 3, 3),
        "b": normal(4),
        "v": normal(5, 16),
        "zero": np.int64([0]),
        "minus": np.int64([-1]),
    }
    content = bytearray(parse(text, 17, constants).SerializeToString())
    weights = content.find(constants["w"].tobytes())
    places = [place for place in range(len(content)) if not weights <= place < weights + constants["w"].nbytes]
    for _ in range(600):
        broken = bytearray(content)
        for place in rng.choice(places, 3):
            broken[place] ^= 1 << int(rng.integers(8))
        try:
            load_onnx(bytes(broken))
        except FewbinsError as error:
            one_line(error)


def test_names_with_line_breaks_and_control_codes_are_shown_as_escapes() -> None:
    made = convolution()
    made.graph.node[0].op_type = "Conv\n\x1b[31m"
    with pytest.raises(UnsupportedError) as caught:
        load_onnx(made)
    assert "Conv\\n\\x1b[31m" in one_line(caught.value)
    assert "\n" not in caught.value.nodes[0]


def test_something_that_is_no_model_is_an_argument_error() -> None:
    with pytest.raises(ArgumentError, match="not int"):
        load_onnx(17)  # type: ignore[arg-type]


@pytest.mark.parametrize("opset", [8, 99])
def test_opsets_out_of_range_are_refused_with_the_range(opset: int) -> None:
    made = convolution()
    made.opset_import[0].version = opset
    with pytest.raises(UnsupportedError, match=f"opset {opset} is not among the supported 9 to"):
        load_onnx(made)


def test_other_domains_are_refused() -> None:
    made = convolution()
    made.graph.node[1].domain = "com.microsoft"
    with pytest.raises(UnsupportedError, match=r"com\.microsoft"):
        load_onnx(made)


def test_inputs_of_a_type_that_no_tensor_has_are_refused() -> None:
    made = parse("(double[N,3] x) => (float[] y) { y = Cast<to = 1>(x) }", 17)
    with pytest.raises(UnsupportedError, match="'x' is DOUBLE; an input is one of float32, bool"):
        load_onnx(made)


def test_an_input_without_a_shape_asks_for_one() -> None:
    made = parse("(float[] x) => (float[] y) { y = Relu(x) }", 17)
    with pytest.raises(UnsupportedError, match="input_shapes"):
        load_onnx(made)
    assert load_onnx(made, input_shapes={"x": ("N", 3)}).tensors["y"].shape == ("N", 3)


def test_values_read_before_they_are_written_are_refused() -> None:
    made = convolution()
    nodes = list(made.graph.node)
    del made.graph.node[:]
    made.graph.node.extend(reversed(nodes))
    with pytest.raises(ModelFileError, match="reads 'a'"):
        load_onnx(made)


def test_a_value_written_twice_is_refused() -> None:
    made = convolution()
    made.graph.node[0].output[0] = "w"
    with pytest.raises(ModelFileError, match="'w' is written twice"):
        load_onnx(made)


def test_an_input_listed_twice_is_refused() -> None:
    made = convolution()
    made.graph.input.append(made.graph.input[0])
    with pytest.raises(ModelFileError, match="twice"):
        load_onnx(made)


def test_an_output_that_nothing_writes_is_refused() -> None:
    made = convolution()
    made.graph.output[0].name = "z"
    with pytest.raises(ModelFileError, match="'z'"):
        load_onnx(made)


def test_a_tensor_whose_data_is_too_short_is_refused_by_name() -> None:
    made = convolution()
    made.graph.initializer[0].raw_data = made.graph.initializer[0].raw_data[:-4]
    with pytest.raises(ModelFileError, match="'w'"):
        load_onnx(made)


def test_a_tensor_with_an_absurd_shape_is_refused_before_memory_is_taken() -> None:
    made = convolution()
    made.graph.initializer[0].dims[:] = [2**40, 2**20]
    with pytest.raises(ModelFileError, match="limits"):
        load_onnx(made)


def test_a_sparse_initializer_becomes_dense() -> None:
    made = parse("(float[N,4] x) => (float[] y) { y = Mul(x, c) }", 17)
    sparse = made.graph.sparse_initializer.add(dims=[4])
    sparse.values.CopyFrom(onnx.numpy_helper.from_array(np.float32([2, 3]), "c"))
    sparse.indices.CopyFrom(onnx.numpy_helper.from_array(np.int64([1, 3])))
    x = normal(2, 4)
    np.testing.assert_array_equal(oracle.run(load_onnx(made), [x])["y"], x * np.float32([0, 2, 0, 3]))
    sparse.indices.CopyFrom(onnx.numpy_helper.from_array(np.int64([1, 4])))
    with pytest.raises(ModelFileError, match="outside its shape"):
        load_onnx(made)


# External data.


def saved(folder: Path, location: str = "weights.bin") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "net.onnx"
    made = convolution()
    onnx.save(made, path, save_as_external_data=True, location=location, size_threshold=0)
    return path


def redirected(path: Path, **entries: str) -> None:
    """Change the external data entries of the weight."""
    made = onnx.load(path, load_external_data=False)
    for entry in made.graph.initializer[0].external_data:
        if entry.key in entries:
            entry.value = entries[entry.key]
    path.write_bytes(made.SerializeToString())


def test_external_data_is_read_from_the_models_folder(tmp_path: Path) -> None:
    path = saved(tmp_path)
    assert b"weights.bin" in path.read_bytes()
    x = normal(1, 3, 8, 8)
    want = expected(convolution(), {"x": x})["y"]
    np.testing.assert_allclose(oracle.run(load_onnx(path), [x])["y"], want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "location",
    ["../secret.bin", "/etc/hostname", "a/../../secret.bin", "", "C:\\secret.bin", "..\\secret.bin", "link.bin"],
)
def test_external_data_outside_the_folder_is_refused(tmp_path: Path, location: str) -> None:
    path = saved(tmp_path / "model")
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(64 * 27 * 4))
    (tmp_path / "model" / "link.bin").symlink_to(secret)
    redirected(path, location=location)
    with pytest.raises(ModelFileError) as caught:
        load_onnx(path)
    assert "'w'" in one_line(caught.value)


def cached(tmp_path: Path, spread: bool = False) -> Path:
    """The model as a download cache keeps it: snapshots/1/net.onnx and its data are links to files called by a hash."""
    made = saved(tmp_path / "made")
    blobs, snapshot = tmp_path / "cache" / "blobs", tmp_path / "cache" / "snapshots" / "1"
    snapshot.mkdir(parents=True)
    for number, name in enumerate(("net.onnx", "weights.bin")):
        folder = blobs / str(number) if spread else blobs
        folder.mkdir(parents=True, exist_ok=True)
        (made.parent / name).rename(folder / f"{number}{number}ff")
        (snapshot / name).symlink_to(Path("../../blobs") / (str(number) if spread else "") / f"{number}{number}ff")
    return snapshot / "net.onnx"


def test_a_model_and_its_data_in_a_download_cache_are_read_through_their_links(tmp_path: Path) -> None:
    x = normal(1, 3, 8, 8)
    want = expected(convolution(), {"x": x})["y"]
    np.testing.assert_allclose(oracle.run(load_onnx(cached(tmp_path)), [x])["y"], want, rtol=1e-5, atol=1e-5)


def test_a_model_reached_by_a_link_finds_the_data_beside_itself(tmp_path: Path) -> None:
    path = saved(tmp_path / "models")
    link = tmp_path / "net.onnx"
    link.symlink_to(path)
    assert load_onnx(link).tensors["w"].shape == (64, 3, 3, 3)


def test_links_that_lead_elsewhere_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"leads out of the model's folder, to .*; if you trust it, copy .*cp -L"):
        load_onnx(cached(tmp_path, spread=True))


def test_a_linked_model_does_not_open_the_folders_above_its_file(tmp_path: Path) -> None:
    path = cached(tmp_path)
    (path.parent / "weights.bin").unlink()
    (tmp_path / "cache" / "secret.bin").write_bytes(bytes(64 * 27 * 4))
    (path.parent / "weights.bin").symlink_to("../../secret.bin")
    with pytest.raises(ModelFileError, match="leads out of the model's folder"):
        load_onnx(path)


def test_a_circle_of_links_is_missing_data(tmp_path: Path) -> None:
    path = saved(tmp_path)
    (tmp_path / "weights.bin").unlink()
    (tmp_path / "weights.bin").symlink_to("weights.bin")
    with pytest.raises(FileAccessError, match="the external data of tensor 'w' is missing"):
        load_onnx(path)


def test_initializers_that_are_listed_as_inputs_too_are_constants(tmp_path: Path) -> None:
    made = convolution()
    for tensor in made.graph.initializer:
        info = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        made.graph.input.append(info)
    graph = load_onnx(made)
    assert graph.inputs == ("x",) and graph.unread == ()
    assert [node.op for node in graph.nodes] == ["Conv", "Unary"]


def test_external_data_that_is_a_folder_or_a_device_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    (tmp_path / "folder").mkdir()
    redirected(path, location="folder")
    with pytest.raises(ModelFileError, match="no regular file"):
        load_onnx(path)


def test_external_data_that_is_missing_or_truncated_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path)
    data = tmp_path / "weights.bin"
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(ModelFileError, match="truncated"):
        load_onnx(path)
    data.unlink()
    with pytest.raises(FileAccessError, match=r"weights\.bin"):
        load_onnx(path)


@pytest.mark.parametrize("entries", [{"offset": "-4"}, {"offset": "x"}, {"length": "8"}, {"offset": str(2**60)}])
def test_external_data_with_wrong_offsets_or_lengths_is_refused(tmp_path: Path, entries: dict[str, str]) -> None:
    path = saved(tmp_path)
    made = onnx.load(path, load_external_data=False)
    del made.graph.initializer[0].external_data[1:]
    for key, value in entries.items():
        made.graph.initializer[0].external_data.add(key=key, value=value)
    path.write_bytes(made.SerializeToString())
    with pytest.raises(ModelFileError, match="'w'"):
        load_onnx(path)


def test_external_data_of_a_model_without_a_path_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path)
    with pytest.raises(ArgumentError, match="path"):
        load_onnx(path.read_bytes())


def test_without_onnx_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "import fewbins\n"
        "try: fewbins.load_onnx('net.onnx')\n"
        "except fewbins.FewbinsError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'fewbins[onnx]'" in done.stdout
