"""`src.predict` gives the labels that were scored, of whatever can be read, and goes on where it stopped."""

import csv
import re
import shutil
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from src.data.files.decoding import PNG
from tests.conftest import ROOT, TINY
from tests.conftest import run as cold_run
from tests.conftest import warm_run as run

WORDS = ("run=runs/A", "images=photos", "output=out")


def matrix(labels, mask, classes=21):
    known = mask != 255
    return np.bincount(classes * mask[known].astype(int) + labels[known], minlength=classes**2).reshape(classes, -1)


def predicted(folder):
    return {str(path.relative_to(folder / "labels")): path for path in (folder / "labels").rglob("*.png")}


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def check_scored(folder, scores, variant, mask_of):
    """Raise unless the files' labels give the counts of `confusion.npz`, image by image; returns the labels seen."""
    scored, seen = np.load(scores / "confusion.npz"), set()
    for image_id, wanted in zip(scored["ids"], scored[variant], strict=True):
        labels = read(folder / "labels" / f"{image_id}.png")
        assert (matrix(labels, read(mask_of(image_id))) == wanted).all()
        seen |= {*np.unique(labels)}
    return seen


@pytest.mark.parametrize("variant", ["none", "crf_raw_fill"])
def test_the_confusion_matrix_of_the_files_is_that_of_evaluate(here, trained, variant):
    run("predict", *WORDS, f"variant={variant}", cwd=here)
    masks = {path.stem: path for path in trained.rglob("SegmentationClass/*.png")}
    assert len(check_scored(here / "out", trained / "runs" / "A", variant, masks.get)) > 2


@pytest.mark.slow
def test_real_photos_get_the_labels_that_were_scored(sample, tmp_path):
    voc = sample / "voc2012_sample"
    root = voc / "VOCdevkit" / "VOC2012"
    data = ("data=voc2012", f"data.root={voc}", "data.val_limit=6")
    words = [word for word in TINY if not word.startswith("data")]
    run("train", *data, *words, "recipe.epochs=0", "variants=fusion", "panels=0", "name=B", cwd=tmp_path)
    ids = (tmp_path / "runs" / "B" / "splits" / "val.txt").read_text().split()
    (tmp_path / "list.txt").write_text("".join(f"{root / 'JPEGImages' / one}.jpg\n" for one in ids))
    for variant in ("none", "crf_raw_mean", "crf_raw_boundary"):
        run("predict", "run=runs/B", "images=list.txt", f"variant={variant}", f"output={variant}", cwd=tmp_path)
        folder = tmp_path / variant
        check_scored(folder, tmp_path / "runs" / "B", variant, lambda one: root / "SegmentationClass" / f"{one}.png")


def test_the_table_counts_the_pixels_of_the_files(here):
    done = run("predict", "run=runs/A", "images=photos", "probabilities=true", cwd=here)
    (out,) = (here / "runs" / "A" / "predictions").iterdir()  # never beside the images, and said
    assert f"runs/A/predictions/{out.name}" in done.stdout and len(list((here / "photos").iterdir())) == 3
    with (out / "predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for name in {row["image"] for row in rows}:
        labels = read(out / "labels" / f"{name}.png")
        probs = np.load(out / "probabilities" / f"{name}.npy")
        assert probs.dtype == np.float16 and probs.shape == (21, *labels.shape)
        assert np.abs(probs.astype(float).sum(0) - 1).max() < 0.01
        own = [row for row in rows if row["image"] == name]
        assert [int(row["pixels"]) for row in own] == sorted(np.bincount(labels.ravel()), reverse=True)[: len(own)]
        assert sum(float(row["share"]) for row in own) == pytest.approx(1, abs=1e-4)
        mean = sum(float(row["mean_probability"]) * int(row["pixels"]) for row in own) / labels.size
        assert mean == pytest.approx(probs.max(0).astype(float).mean(), abs=1e-3)
        assert len(read(out / "overlays" / f"{name}.webp")) > len(labels)  # with a legend


def test_a_second_call_goes_on_and_does_not_mix(here):
    run("predict", *WORDS, cwd=here)
    first, second, third = sorted(predicted(here / "out").values())
    before = third.stat().st_mtime_ns
    first.unlink()
    changed = here / "photos" / f"{second.stem}.jpg"
    Image.fromarray(read(changed)[::-1]).save(changed)
    done = run("predict", *WORDS, cwd=here)
    assert "3; 1 of them are done already" in done.stdout and "predicted   2 images" in done.stdout
    assert first.exists() and third.stat().st_mtime_ns == before
    with (here / "out" / "done-0.jsonl").open("a", encoding="utf-8") as file:
        file.write('\n{"name": "cut o')  # by a kill
    assert "3 of them are done already" in run("predict", *WORDS, cwd=here).stdout
    done = run("predict", *WORDS, "variant=crf_raw", cwd=here, status=1)
    assert "out: holds predictions of another variant; results are not mixed" in done.stderr
    shutil.copytree(here / "photos", here / "others")
    done = run("predict", "run=runs/A", "images=others", "output=out", cwd=here, status=1)
    assert "would replace it; choose another folder" in done.stderr


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def hostile(folder):
    (folder / "empty.png").touch()
    (folder / "script.png").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")
    (folder / "bomb.png").write_bytes(PNG + data)
    whole = next(folder.glob("*.jpg")).read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "wide.png").write_bytes(b"")
    Image.fromarray(np.full((4, 4), 60_000, np.uint16)).save(folder / "wide.png")
    return ["bomb.png", "cut.jpg", "empty.png", "loop.png", "script.png", "wide.png"]


def test_what_cannot_be_read_is_named_and_the_others_go_on(here):
    bad = hostile(here / "photos")
    Image.new("RGB", (1, 1), "red").save(here / "photos" / "point.png")
    Image.new("RGB", (3000, 1), "red").save(here / "photos" / "line.png")
    done = run("predict", *WORDS, cwd=here, status=1)
    told = [line for line in done.stdout.splitlines() if line.startswith("unreadable")]
    assert all(f"photos/{name}" in line for name, line in zip(bad, told, strict=True)), told
    assert "white=65535" in told[-1] and "more than 89 million" in told[0] and "Traceback" not in done.stderr
    assert "predicted   5 images" in done.stdout and len(predicted(here / "out")) == 5
    assert read(here / "out" / "labels" / "line.png").shape == (1, 3000)
    run("predict", *WORDS, cwd=here, status=1)  # still not all
    done = run("predict", "run=runs/A", "images=photos/wide.png", "white=65535", cwd=here)
    assert "predicted   1 images" in done.stdout


def test_equal_names_do_not_collide_and_stay_inside(here):
    photo = next((here / "photos").glob("*.jpg"))
    for place in ("a/cat.jpg", "b/cat.jpg", "b/cat.jpeg", "b/..hidden.jpg", "b/[x] *.jpg"):
        (here / "in" / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, here / "in" / place)
    (here / "in" / "b" / "list.txt").write_text("cat.jpg\n\n../a/cat.jpg\ncat.jpeg\n..hidden.jpg\n[x] *.jpg\n")
    run("predict", "run=runs/A", "images=in/b/list.txt", "output=out", cwd=here)
    wanted = ["a/cat.png", "b/..hidden.png", "b/[x] *.png", "b/cat.jpeg.png", "b/cat.jpg.png"]
    assert sorted(predicted(here / "out")) == wanted
    run("predict", "run=runs/A", "images=in/*/cat.jpg", "output=other", cwd=here)
    assert sorted(predicted(here / "other")) == ["a/cat.png", "b/cat.png"]


@pytest.mark.slow
def test_exif_is_followed_and_transparency_is_said(here):
    photo = next((here / "photos").glob("*.jpg"))
    stored = Image.fromarray(read(photo))
    exif = Image.Exif()
    exif[0x112] = 6
    for folder in ("turned", "flagged"):
        (here / folder).mkdir()
    stored.rotate(-90, expand=True).save(here / "turned" / "x.png")
    stored.save(here / "flagged" / "x.png", exif=exif)
    stored.convert("RGBA").save(here / "flagged" / "y.png")
    run("predict", "run=runs/A", "images=turned", "output=out1", cwd=here)
    done = run("predict", "run=runs/A", "images=flagged", "output=out2", cwd=here)
    one, two = (read(here / out / "labels" / "x.png") for out in ("out1", "out2"))
    assert one.shape == stored.size and (one == two).all()
    assert "x.png: turned as its EXIF flag says" in done.stdout and "y.png: transparency ignored" in done.stdout


def test_answers_are_no_photos(here):
    words = ("predict", "run=runs/A", "images=**/*.webp")
    first = run(*words, cwd=here, status=None).stdout
    count = re.search(r"images +(\d+)\n", first)[1]
    assert f"images      {count}; " in run(*words, cwd=here, status=None).stdout
    assert f"images      {count}\n" in run(*words, "variant=crf_raw", cwd=here, status=None).stdout


@pytest.mark.slow
def test_a_large_image_goes_in_windows(here):
    words = ("run=runs/A", "images=photos", "variant=crf_raw", "probabilities=true")
    done = run("predict", *words, "window=64", "output=out", cwd=here)
    assert "labelled in windows of 64 px" in done.stdout
    run("predict", *words, "output=whole", cwd=here)
    for name, path in predicted(here / "out").items():
        labels, whole = read(path), read(here / "whole" / "labels" / name)
        probs = np.load(here / "out" / "probabilities" / name.replace(".png", ".npy")).astype(float)
        assert labels.shape == whole.shape == probs.shape[1:] and (labels == whole).mean() > 0.8
        assert (np.take_along_axis(probs, labels[None].astype(int), 0)[0] >= probs.max(0) - 1e-3).all()


@pytest.mark.slow
def test_a_video_becomes_a_video_of_overlays(here):
    writer = cv2.VideoWriter(str(here / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, (96, 64))
    for shade in (0, 120, 250):
        writer.write(np.full((64, 96, 3), shade, np.uint8))
    writer.release()
    (here / "broken.mp4").write_bytes(b"no video")
    (here / "list.txt").write_text("clip.mp4\nbroken.mp4\n" + "".join(f"{p}\n" for p in (here / "photos").iterdir()))
    done = run("predict", "run=runs/A", "images=list.txt", "output=out", cwd=here, status=1)
    assert "clip.mp4: 3 frames" in done.stdout and "broken.mp4 is no video" in done.stdout
    video = cv2.VideoCapture(str(here / "out" / "overlays" / "clip.mp4"))
    assert (video.get(cv2.CAP_PROP_FPS), video.get(cv2.CAP_PROP_FRAME_COUNT)) == (10, 3)
    assert video.get(cv2.CAP_PROP_FRAME_WIDTH) == 96 and video.get(cv2.CAP_PROP_FRAME_HEIGHT) > 64
    video.release()
    with (here / "out" / "predictions.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["image"] == "clip"]
    assert sum(int(row["pixels"]) for row in rows) == 3 * 64 * 96
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1, abs=1e-4)
    (here / "broken.mp4").unlink()
    done = run("predict", "run=runs/A", "images=clip.mp4", "output=out2", cwd=here)
    assert "predictions.csv" in done.stdout
    done = run("predict", "run=runs/A", "images=clip.mp4", "window=64", "probabilities=true", "output=out3", cwd=here)
    assert "writes those of images, not of videos" in done.stdout and "in windows of 64 px" in done.stdout


@pytest.mark.slow
def test_two_processes_share_the_images(here):
    bad = hostile(here / "photos")
    words = ("run=runs/A", "images=photos", f"plugins={ROOT}/tests/tiny.py")
    cold_run("predict", *words, "output=one", cwd=here, status=1)
    done = cold_run(
        "predict",
        *words,
        "output=two",
        "trainer=ddp",
        "trainer.devices=2",
        "trainer.accelerator=cpu",
        cwd=here,
        status=1,
    )
    assert done.stdout.count("unreadable") == len(bad) and "predicted   3 images" in done.stdout
    assert len(list((here / "two").glob("done-*.jsonl"))) == 2
    for name, path in predicted(here / "one").items():
        assert (read(path) == read(here / "two" / "labels" / name)).all()
    tables = [(here / out / "predictions.csv").read_text().splitlines() for out in ("one", "two")]
    assert [line.rpartition(",")[0] for line in tables[0]] == [line.rpartition(",")[0] for line in tables[1]]
    done = cold_run("predict", *words, "output=two", cwd=here, status=1)
    assert "3 of them are done already" in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["images=nowhere"], "images=nowhere: does not exist"),
        (["images=photos/*.gif"], "fits no file"),
        (["images=runs/A/splits"], "no image is in this folder"),
        ([], "give images="),
        (["images=photos", "variant=crf"], "variant=crf: the run has none, crf_raw"),
        (["images=photos", "data=voc2012"], "data=: src.predict takes no such choice"),
        (["images=photos", "window=7"], "window=7: must be a whole number from 64"),
        (["images=out/labels/x.png", "output=out"], "its labels would replace it"),
    ],
)
def test_a_wrong_call_is_told_in_a_sentence(here, words, says):
    (here / "out" / "labels").mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(here / "out" / "labels" / "x.png")
    done = run("predict", "run=runs/A", *words, cwd=here, status=1)
    assert says in done.stderr and "Traceback" not in done.stderr
