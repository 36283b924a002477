# SPDX-License-Identifier: Apache-2.0
"""`evaluate`: what it counts, every form of data, the caller's own metric, and what is refused."""

from __future__ import annotations

import numpy as np
import onnx.parser
import pytest
from PIL import Image
from small_models import DIGITS, digits, images

import fewbins

X = images(20)
BEST = fewbins.Session(digits()).run(X).argmax(1)
Y = np.where(np.arange(20) < 15, BEST, (BEST + 1) % 10)  # 15 of 20 are right


class Tensor:
    """Stands for a tensor of torch that has a gradient: only a detached one on the CPU becomes an array."""

    def __init__(self, array, ready=()):
        self._array, self._ready = array, ready

    def __len__(self):
        return len(self._array)

    def detach(self):
        return Tensor(self._array, (*self._ready, "detach"))

    def cpu(self):
        return Tensor(self._array, (*self._ready, "cpu"))

    def numpy(self):
        if self._ready != ("detach", "cpu"):
            raise RuntimeError("Can't call numpy() on Tensor that requires grad")
        return self._array


class Loader:
    """Stands for a torch DataLoader: lists [x, y] of tensors, the last batch smaller."""

    def __iter__(self):
        for start in range(0, 20, 8):
            yield [Tensor(X[start : start + 8]), Tensor(Y[start : start + 8])]


class MapDataset:
    """Stands for a torch Dataset: single images and labels by index, and no iterator."""

    __iter__ = None

    def __len__(self):
        return 20

    def __getitem__(self, index):
        return X[index], int(Y[index])


DATA = {
    "pair": (X, Y),
    "list pair": [X, Y.tolist()],
    "loader": Loader(),
    "data set": MapDataset(),
    "tf-like": [(Tensor(X[:12]), Tensor(Y[:12])), (Tensor(X[12:]), Tensor(Y[12:]))],
    "dicts": [{"x": X[:12], "y": Y[:12]}, {"x": X[12:], "labels": Y[12:]}],
    "named dict": {fewbins.Session(digits()).inputs[0].name: X, "y": Y},
    "features": (pair for pair in [({"x": X}, Y)]),
    "generator of images": (pair for pair in zip(X, Y, strict=True)),
    "callable": lambda: iter([(X, Y)]),
}


@pytest.mark.parametrize("form", DATA)
def test_every_form_of_labelled_data_gives_the_same_rates(form):
    rates = fewbins.evaluate(digits(), DATA[form], batch=7)
    assert (rates["samples"], rates["correct"], rates["top1_percent"]) == (20, 15, 75.0)
    assert 75.0 <= rates["top5_percent"] <= 100.0


@pytest.mark.parametrize("form", ["pair", "list pair", "loader", "data set", "dicts", "callable"])
def test_labels_are_left_aside_in_calibration(form):
    want = fewbins.quantize(DIGITS, X).to_bytes()
    assert fewbins.quantize(DIGITS, DATA[form]).to_bytes() == want


def test_two_images_are_no_pair_of_image_and_labels():
    for pair in ([X[0], X[1]], (X[0], X[1]), [X[:1], X[1:2]], [X[0], X[1:2]]):
        assert fewbins.quantize(DIGITS, pair).provenance["calibration"]["images"] == 2


@pytest.mark.parametrize("second", [X[1].astype(np.float64), X[1][:, :4], (X[1] * 255).astype(np.uint8)])
def test_a_second_image_that_does_not_fit_is_not_taken_for_labels(second):
    with pytest.raises(fewbins.FewbinsError):
        fewbins.quantize(DIGITS, [X[0], second])


@pytest.mark.parametrize("shape", [(20, 3), (20, 8, 8), (20, 1, 8, 8), (20, 2, 8, 8)])
def test_targets_may_be_arrays_of_numbers_for_a_metric_of_the_callers(shape):
    targets = np.zeros(shape, np.float32)
    data = (X, targets) if shape[1] != 1 else [(X, targets)]  # alone, such a pair could be two batches of images
    rates = fewbins.evaluate(digits(), data, metric={"shape": lambda _, y: y.shape})
    assert (rates["samples"], tuple(rates["shape"])) == (20, shape)


PAIR = (
    '<ir_version: 8, opset_import: ["": 17]> g (float[N,3,8,8] left, float[N,3,8,8] right) => (float[N,2,8,8] z) '
    "{ k = Constant<value = float[2,3,1,1] {1,2,3,4,5,6}>() a = Conv(left, k) b = Conv(right, k) z = Sub(a, b) }"
)
LEFT = np.random.default_rng(0).uniform(0, 1, (6, 3, 8, 8)).astype(np.float32)
RIGHT = LEFT[::-1].copy()
OF_TWO = {
    "mapping": {"left": LEFT, "right": RIGHT},
    "mapping with labels": {"left": LEFT, "right": RIGHT, "y": np.arange(6)},
    "tuple": (LEFT, RIGHT),
    "tuple with labels": (LEFT, RIGHT, np.arange(6)),
    "nested": [((LEFT, RIGHT), np.arange(6))],
    "nested mapping": [({"left": LEFT, "right": RIGHT}, np.arange(6))],
    "batches": [(LEFT[:4], RIGHT[:4]), (LEFT[4:], RIGHT[4:])],
    "single images": list(zip(LEFT, RIGHT, strict=True)),
    "mappings of single images": [{"left": a, "right": b} for a, b in zip(LEFT, RIGHT, strict=True)],
}


@pytest.mark.parametrize("form", OF_TWO)
def test_networks_of_two_inputs_take_mappings_and_tuples_in_order(form):
    graph = fewbins.load_onnx(onnx.parser.parse_model(PAIR))
    model = fewbins.quantize(graph, OF_TWO["mapping"])
    assert fewbins.quantize(graph, OF_TWO[form]).to_bytes() == model.to_bytes()
    rates = fewbins.evaluate(model, OF_TWO[form], against=graph, batch=4, metric=lambda z, y: y.tolist())
    assert rates["samples"] == 6 and rates["sqnr_db"] > 20 and rates["agreement_percent"] is None
    assert rates.get("lambda", list(range(6))) == list(range(6))


def test_npz_files_and_folders_are_read(tmp_path):
    np.savez(tmp_path / "d.npz", x=X, y=Y)
    assert fewbins.evaluate(digits(), tmp_path / "d.npz")["correct"] == 15
    prepare = fewbins.Preprocessing(channels="GRAY")
    model = fewbins.QuantizedModel(digits().graph, "8bit", preprocessing=prepare, labels=list("abcdefghij"))
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    right = int(fewbins.Session(model).run(prepare.array(pixels[:, :, None])[None]).argmax())
    for k in range(10):
        (tmp_path / "folder" / "abcdefghij"[k]).mkdir(parents=True)
    Image.fromarray(pixels).save(tmp_path / "folder" / "abcdefghij"[right] / "p.png")
    assert fewbins.evaluate(model, tmp_path / "folder")["top1_percent"] == 100


def test_models_are_taken_in_every_form(tmp_path):
    digits().save(tmp_path / "m.fewbins")
    path = tmp_path / "m.fewbins"
    for model in (path, str(path), digits(), fewbins.Session(path), fewbins.InferenceSession(path)):
        assert fewbins.evaluate(model, (X, Y))["correct"] == 15
    assert fewbins.evaluate(DIGITS, (X, Y)) == fewbins.evaluate(fewbins.load_onnx(DIGITS), (X, Y))


def test_the_callers_metric_sees_all_outputs_and_labels():
    seen = []

    def f1_like(outputs, labels):
        seen.append((outputs.shape, labels.shape))
        return float((outputs.argmax(1) == labels).mean())

    rates = fewbins.evaluate(digits(), Loader(), metric=f1_like)
    assert rates == {"samples": 20, "f1_like": 0.75} and seen == [((20, 10), (20,))]
    rates = fewbins.evaluate(digits(), (X, Y), metric={"a": f1_like, "b": lambda *_: 2}, against=digits("8bit"))
    assert (rates["a"], rates["b"], set(rates["against_rates"])) == (0.75, 2, {"a", "b"})


def test_a_fixed_batch_is_filled_up_and_the_fill_not_counted():
    graph = fewbins.load_onnx(DIGITS, input_shapes={fewbins.load_onnx(DIGITS).inputs[0]: (8, 1, 8, 8)})
    model = fewbins.quantize(graph, X[:16])
    want = fewbins.evaluate(fewbins.quantize(DIGITS, X[:16]), (X, Y))
    assert fewbins.evaluate(model, (X, Y)) == want


def test_models_are_compared_without_labels():
    rates = fewbins.evaluate(digits(), X, against=digits("float"))
    assert rates["samples"] == 20 and rates["agreement_percent"] > 50 and rates["sqnr_db"] > 10
    assert "top1_percent" not in rates and not rates["outputs_equal"]
    same = fewbins.evaluate(digits(), X, against=digits())
    assert same["outputs_equal"] and same["sqnr_db"] is None and same["agreement_percent"] == 100


@pytest.mark.parametrize(
    ("data", "options", "error", "says"),
    [
        (X, {}, fewbins.DataError, "no labels"),
        ((X, Y + 5), {}, fewbins.DataError, "10 outputs, 0 to 9"),
        ((X, Y - 10), {}, fewbins.DataError, "label -"),
        ((X, Y.astype(np.float32)), {}, fewbins.DataError, "one integer for each image"),
        ((X, np.eye(10)[Y]), {}, fewbins.DataError, r"labels\.argmax\(1\)"),
        ((X, Y[:3]), {}, fewbins.DataError, "one label for each image"),
        ([(X, Y), X], {}, fewbins.DataError, "others have none"),
        ([], {}, fewbins.DataError, "empty"),
        (3, {}, fewbins.DataError, "type int"),
        ("nowhere.npz", {}, fewbins.FileAccessError, "nowhere.npz"),
        ([(X, Y, Y, Y)], {}, fewbins.DataError, "tuple of 4"),
        ((X[:, :, :4], Y), {}, fewbins.ShapeError, "the model takes"),
        ((X.astype(np.float64), Y), {}, fewbins.ShapeError, "float64"),
        ((X, Y), {"metric": "f1"}, fewbins.ArgumentError, "'accuracy', a function"),
        ((X, Y), {"metric": {"a": 3}}, fewbins.ArgumentError, "dict of functions"),
        ((X, Y), {"batch": 0}, fewbins.ArgumentError, "batch is 0"),
        ((X, Y), {"threads": "2"}, fewbins.ArgumentError, "threads is '2'"),
        ((X, Y), {"against": 3}, fewbins.ArgumentError, "model is 3"),
    ],
)  # fmt: skip
def test_what_cannot_be_measured_is_refused(data, options, error, says):
    with pytest.raises(error, match=says) as caught:
        fewbins.evaluate(digits(), data, **options)
    assert "\n" not in str(caught.value)


def test_a_tensor_that_cannot_become_an_array_is_named():
    class Sparse:
        def numpy(self):
            raise TypeError("can't convert Sparse layout tensor")

    with pytest.raises(fewbins.DataError, match="a Sparse cannot become"):
        fewbins.evaluate(digits(), Sparse())
    with pytest.raises(fewbins.CalibrationError, match="a Sparse cannot become"):
        fewbins.quantize(DIGITS, [Sparse()])


def test_subfolders_that_are_fewer_than_the_outputs_are_warned_of(tmp_path):
    (tmp_path / "n01440764").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "n01440764" / "p.png")
    with pytest.warns(fewbins.FewbinsWarning, match="1 classes and the model 10 outputs"):
        fewbins.evaluate(digits(), tmp_path, preprocessing=fewbins.Preprocessing(channels="GRAY"))
