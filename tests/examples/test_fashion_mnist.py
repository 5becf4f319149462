"""The experiment with Fashion-MNIST: its reader, its pieces, its page; and distillation."""

from __future__ import annotations

import gzip
import json
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from benchmarks.fashion_mnist import page, run
from benchmarks.fashion_mnist.families import FAMILIES
from benchmarks.fashion_mnist.images import FOLDER, NoImages, read_data_set, read_idx, read_images
from benchmarks.fashion_mnist.pieces import Choice, Network, Training, all_pieces, wanted
from benchmarks.fashion_mnist.results import OtherSettings, Results
from benchmarks.fashion_mnist.table import convolutions, tables
from benchmarks.page_parts import with_part

DOCS = Path(__file__).parents[2] / "docs"
BASIC = FAMILIES["basic"]


# --- the data set ----------------------------------------------------------------------------


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    return (
        struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()
    )


def written(folder: Path, images: np.ndarray, labels: np.ndarray) -> Path:
    for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
        (folder / f"train-{kind}-ubyte.gz").write_bytes(gzip.compress(idx(array)))
    return folder


IMAGES = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)


def test_images_and_labels(tmp_path) -> None:
    found = read_images(written(tmp_path, IMAGES, np.array([9, 0], np.uint8)), "train")
    assert found.pixels.shape == (2, 1, 28, 28) and found.pixels.dtype == np.float32
    assert found.pixels.max() == 1.0 and found.pixels[0, 0, 1, 2] == np.float32(30 / 255)
    assert list(found.labels) == [9, 0]


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:, :, :27], [1, 2], "not 28 by 28 pixels"),
        (IMAGES, [1], "1 labels for 2 images"),
        (IMAGES, [1, 10], "class 10, but there are 10"),
    ],
)
def test_parts_that_do_not_fit(images, labels, message, tmp_path) -> None:
    folder = written(tmp_path, np.ascontiguousarray(images), np.array(labels, np.uint8))
    with pytest.raises(NoImages, match=message):
        read_images(folder, "train")


WHOLE = idx(np.zeros((3, 2), np.uint8))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (WHOLE, "cannot be read: Not a gzipped file"),
        (gzip.compress(WHOLE, mtime=0)[:-9], "cannot be read"),
        (gzip.compress(WHOLE[:-1], mtime=0), "5 bytes, but its header says 6"),
        (gzip.compress(WHOLE[:9], mtime=0), "is no IDX file of bytes with 2 axes"),
        (gzip.compress(idx(np.zeros((3, 2), np.uint8), kind=9), mtime=0), "is no IDX file"),
        (gzip.compress(idx(np.zeros(3, np.uint8)), mtime=0), "is no IDX file of bytes with 2 axes"),
    ],
)
def test_damaged_files(content, message, tmp_path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    with pytest.raises(NoImages, match=message):
        read_idx(path, axes=2)


def test_missing_data_set(tmp_path) -> None:
    with pytest.raises(NoImages, match="scripts/apt-install dataset-fashion-mnist puts it there"):
        read_data_set(tmp_path)


@pytest.mark.skipif(not FOLDER.exists(), reason="dataset-fashion-mnist is not installed")
def test_data_set() -> None:
    found = read_data_set()
    assert (len(found.training), len(found.test)) == (60_000, 10_000)
    assert list(np.bincount(found.test.labels)) == [1_000] * 10


# --- pieces ----------------------------------------------------------------------------------


def test_every_piece_comes_behind_what_it_needs_and_once() -> None:
    pieces = wanted(Choice())
    names = [piece.name for piece in pieces]
    assert len(set(names)) == len(names) == len({piece.name for piece in all_pieces()})
    for position, piece in enumerate(pieces):
        assert {needed.name for needed in piece.needs} <= set(names[:position])


def test_a_choice_brings_what_it_needs_and_leaves_out_what_is_done() -> None:
    choice = Choice(family="basic", blocks=6, form="plain", start="distilled", seed=1)
    names = [piece.name for piece in wanted(choice)]
    original, plain = "basic-6-original-scratch-1", "basic-6-plain-distilled-1"
    assert names == [original, plain, f"{plain}.int8"]
    assert [p.name for p in wanted(choice, {original, plain})] == [f"{plain}.int8"]


@pytest.fixture
def in_threads(monkeypatch):
    """Pieces are made in this process, by the function that the test gives."""
    monkeypatch.setattr(
        run, "ProcessPoolExecutor", lambda processes, mp_context: ThreadPoolExecutor(processes)
    )
    return lambda function: monkeypatch.setattr(run, "_make", function)


def test_an_interrupted_run_goes_on_behind_its_last_piece(tmp_path, in_threads, capsys) -> None:
    results, choice = Results(tmp_path), Choice(family="basic", blocks=6, seed=1)
    results.begin({"epochs": 3})
    experiment = run.Experiment(tmp_path, tmp_path, 3)
    made = []

    def failing(piece, experiment) -> None:
        if piece.name == "basic-6-original-scratch-1" and not made:
            raise ValueError("interrupted")
        made.append(piece.name)
        results.write(piece.name, {"accuracy": 0.5})

    in_threads(failing)
    pieces = wanted(choice, results.done())
    failed = run.run(pieces, experiment, processes=1)
    needy = {p.name for p in pieces if isinstance(p, Training) and p.needs}
    assert {"basic-6-original-scratch-1", "basic-6-original-scratch-1.int8", *needy} <= set(failed)
    assert "basic-6-original-scratch-1 failed: ValueError('interrupted')" in capsys.readouterr().out
    assert sorted(results.done()) == sorted(made)
    first = list(made)
    assert run.run(wanted(choice, results.done()), experiment, processes=2) == []
    assert sorted(made) == sorted({*made}) and sorted(made[len(first) :]) == sorted(failed)
    out = capsys.readouterr().out
    assert "[100%, 0 min left]" in out
    assert wanted(choice, results.done()) == []


def test_time_left() -> None:
    assert [run.spelled(s) for s in (20, 130, 7260)] == ["0 min", "2 min", "2 h 01 min"]


def test_results_of_other_settings_are_not_mixed(tmp_path) -> None:
    Results(tmp_path).begin({"epochs": 3})
    Results(tmp_path).begin({"epochs": 3})
    with pytest.raises(OtherSettings, match="has results with epochs 3, not 4"):
        Results(tmp_path).begin({"epochs": 4})


# --- the page --------------------------------------------------------------------------------

SCRATCH = [f"basic-6-original-scratch-{seed}" for seed in range(3)]
PIECES = {
    **{
        name: {"accuracy": share, "parameters": 141890, "cpu_seconds": 1800.0}
        for name, share in zip(SCRATCH, (0.88, 0.90, 0.92))
    },
    f"{SCRATCH[0]}.int8": {"accuracy": 0.875, "cpu_seconds": 0.0},
    "basic-6-original.arena": {"tensors": 4704, "in place": 3248, "--dero": 1904, "cpu_seconds": 0},
    "basic-3-reorganized-distilled-0": {"accuracy": 0.8, "parameters": 5, "cpu_seconds": 0},
    "basic-6-reorganized-scratch-0.board": {
        "board": "mps2-an500", "images": 200, "accuracy": 0.9, "onnx_runtime": 0.905,
        "cpu_seconds": 0,
    },
}  # fmt: skip


def test_tables_of_what_is_there() -> None:
    text = tables(PIECES)
    numbers = "| 90.00 % | 88.00 % | 92.00 % | 87.50 % | 141,890 | 4,704 | 3,248 | 1,904 |"
    assert "Basic blocks, 37 convolutions in a row:" in text
    assert f"| original | scratch | 3 {numbers}" in text
    assert "|  | the same, distilled | 1 | 80.00 % | 80.00 % | 80.00 % |  |  |  |  |  |" in text
    assert "| basic blocks, mps2-an500 | 200 | 90.00 % | 90.50 % |" in text
    assert "Bottleneck" not in text and "Basic blocks, 73" not in text
    assert convolutions(BASIC, 3) == 19 and convolutions(FAMILIES["bottleneck"], 4) == 37


def test_page_from_results_and_again_without_them(tmp_path) -> None:
    (tmp_path / "images").mkdir()
    begin, end = "<!-- fashion-mnist: begin -->", "<!-- fashion-mnist: end -->"
    (tmp_path / "retraining.md").write_text(f"before\n{begin}\nold\n{end}\nbehind\n")
    results = Results(tmp_path / "results")
    with pytest.raises(SystemExit, match="no results yet"):
        page.write_page(tmp_path, results)
    results.begin({"epochs": 3})
    for name, result in PIECES.items():
        results.write(name, result)
    text = page.write_page(tmp_path, results)
    assert "3 epochs a training, as yet 7 of" in text and "1.5 hours of one core" in text
    assert (tmp_path / "retraining.md").read_text() == f"before\n{begin}\n{text}\n{end}\nbehind\n"
    data = (tmp_path / "retraining" / "fashion_mnist.json").read_bytes()
    light, dark = (tmp_path / "images" / f"fashion-mnist-{t}.svg" for t in ("light", "dark"))
    assert light.read_bytes() != dark.read_bytes()
    assert page.write_page(tmp_path, Results(tmp_path / "none")) == text
    assert (tmp_path / "retraining" / "fashion_mnist.json").read_bytes() == data


def test_the_page_has_the_tables_of_the_data_beside_it() -> None:
    known = json.loads((DOCS / page.DATA).read_text())
    now = (DOCS / page.PAGE).read_text()
    assert with_part(now, "fashion-mnist", page.section(known)) == now


# --- training --------------------------------------------------------------------------------


def test_images_vary_by_shifts_and_mirrors() -> None:
    torch = pytest.importorskip("torch")
    from benchmarks.fashion_mnist.train import SHIFT, varied

    torch.manual_seed(0)
    image = torch.zeros(1, 1, 28, 28)
    image[0, 0, 10, 4] = 1.0
    found = varied(image.expand(400, 1, 28, 28))
    places = {tuple(place) for place in found[:, 0].nonzero()[:, 1:].tolist()}
    offsets = range(-SHIFT, SHIFT + 1)
    assert places == {(10 + y, x + z) for x in (4, 23) for y in offsets for z in offsets}
    assert found.shape == (400, 1, 28, 28) and bool((found.sum((1, 2, 3)) == 1).all())


def test_a_step_of_distillation() -> None:
    torch = pytest.importorskip("torch")
    from benchmarks.fashion_mnist.train import step
    from examples.distillation import Distillation, distillation_loss, from_labels

    torch.manual_seed(0)
    images, labels = torch.randn(32, 4), torch.randint(0, 3, (32,))
    teacher, student = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)
    known = [parameter.clone() for parameter in teacher.parameters()]
    logits = student(images)
    alone = distillation_loss(logits, teacher(images), labels, teacher_share=0.0)
    torch.testing.assert_close(alone, from_labels(logits, images, labels))
    assert distillation_loss(logits, logits, labels, teacher_share=1.0).abs() < 1e-6

    optimizer = torch.optim.SGD(student.parameters(), lr=0.5)
    loss = Distillation(teacher, teacher_share=1.0)
    losses = [step(student, optimizer, loss, images, labels) for _ in range(200)]
    assert losses[-1] < 0.01 * losses[0]  # the student has become its teacher
    with torch.no_grad():
        torch.testing.assert_close(
            student(images).softmax(1), teacher(images).softmax(1), atol=0.02, rtol=0
        )
    assert all(torch.equal(a, b) for a, b in zip(known, teacher.parameters()))
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_networks_of_every_form_begin_with_their_own_weights() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from benchmarks.fashion_mnist.networks import fresh, original, reorganized

    torch.manual_seed(0)
    network = original(BASIC, 1).eval()
    made = reorganized(network, "reorganized")
    inherited = made.state_dict()["classifier.weight"].clone()
    assert torch.equal(inherited, network[-1].weight)
    assert not torch.equal(fresh(made).state_dict()["classifier.weight"], inherited)
    name = Training(Network(BASIC, 1, "plain"), "scratch", 0).name
    assert name == "basic-1-plain-scratch-0"
