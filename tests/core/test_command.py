"""What a user meets before anything is trained: help, typing errors, impossible combinations, all without torch."""

import re
import subprocess
import sys

import pytest

from src.core.names import CONF
from tests.conftest import ROOT, run, warm_run


@pytest.mark.parametrize(
    ("module", "argument", "message"),
    [
        ("train", "bakbone=resnet50", r"no 'bakbone' among the options. Did you mean backbone\?"),
        ("train", "recipe.epoch=3", r"no 'epoch' in recipe. Did you mean recipe.epochs\?"),
        ("train", "backbone=resnet52", r"backbone=resnet52: not one of .*resnet101_coco.* Did you mean resnet50\?"),
        ("train", "head.output_stride=12", r"head.output_stride=12: not one of 8, 16"),
        ("train", "recipe.monitor=val/mio", r"not one of val/miou, val/pixel_accuracy, val/loss"),
        ("train", "recipe.batch_size=1", r"from 2 to 10000 \(BatchNorm"),
        ("train", "recipe.epochs=x", r"recipe.epochs=x: must be a whole number from 0 to"),
        ("train", "recipe.scheduler.name=StepLR", r"not one of ReduceLROnPlateau, PolynomialLR"),
        ("train", "loss.name=fokal", r"loss.name=fokal: not one of combined, .*plugins=FILE.py"),
        ("train", "backbone.kind=resent", r"backbone.kind=resent: not one of mobilenet_v3, resnet"),
        ("train", "data.source=coco", r"data.source=coco: not one of .*folder, .*shapes, voc, voc_sbd"),
        ("train", "plugins=mine.py", r"plugins=mine.py: there is no such file"),
        ("train", "loss=mine.yaml", r"loss=mine.yaml: there is no file mine.yaml"),
        ("train", "overwrite=true resume=last", r"contradict"),
        ("train", "recipe.augment.jitter.hue=0.9", r"hue=0.9: must be a number from 0 to 0.5"),
        ("train", "trainer.accelerator=tpu", r"not one of auto, cpu"),
        ("train", "trainer.max_time=5m", r"DD:HH:MM:SS"),
        ("train", "crf.iterations=2.5", r"crf.iterations=2.5: must be a whole number"),
        ("train", "+variants.mine={guidance:raw,fusion:mean,options:{wieght:0.5}}", r"'mean' takes weight"),
        (
            "train",
            "+variants.mine={guidance:raw,fusion:boundary,options:{radius:0}}",
            r"radius=0: must be of type int, from 1",
        ),
        ("evaluate", "logits=. recipe.protocol=voc", r"the recipe belongs to the training"),
        ("train", "+variants.mine={guidance:gray}", r"guidance=gray: not one of raw, normalized"),
        ("train", "+variants.mine={guidance:raw,fusion:sum}", r"fusion=sum: not one of boundary, fill"),
        ("train", "crf.engine=magic", r"crf.engine=magic: not one of"),
        ("train", "resume=nowhere.ckpt", r"nowhere.ckpt does not exist"),
        ("evaluate", "", r"exactly one of run=FOLDER, checkpoint=FILE, onnx=FILE, logits=FOLDER; given: none"),
        ("evaluate", "run=nowhere", r"run=nowhere: does not exist"),
        ("train", "table=losess", r"table=losess: not one of .* Did you mean losses\?"),
        ("train", "-m seed=1,2 recipe.epoch=3", r"no 'epoch' in recipe"),
        ("train", "-m table=losses,backbones", r"table=losses,backbones: one table at a time"),
        ("train", "seed=1,2 -m recipe.epoch=3", r"no 'epoch' in recipe"),
        ("train", "-m seed=1,2 jobs=0", r"jobs=0: must be a whole number"),
        ("report", "", r"nothing to report on: give table=NAME"),
        ("report", "runs=nowhere", r"runs=nowhere: there is no such folder"),
        ("report", "table=losses bakbone=resnet18", r"no 'bakbone' among the options. Did you mean backbone\?"),
        ("report", "table=losses basline=focal", r"no 'basline' among the options. Did you mean baseline\?"),
        ("check", "data.train_limit=0", r"data.train_limit=0: must be a whole number"),
    ],
)
def test_mistakes_are_one_sentence_with_the_way_out(module, argument, message, tmp_path):
    done = warm_run(module, *argument.split(), cwd=tmp_path, status=1, torch=False)
    assert re.search(message, done.stderr), done.stderr
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("module", ["train", "evaluate", "report", "check"])
def test_help_lists_the_choices(module, tmp_path):
    listed = ", ".join(sorted(file.stem for file in (CONF / "data").glob("*.yaml")))
    assert f"data: {listed}" in warm_run(module, "--help", cwd=tmp_path, torch=False).stdout


def test_composing_and_checking_a_config_needs_no_torch(tmp_path):
    modules = ["train", "evaluate", "report", "check", "tune", "runs.checks.commands", "reporting.output.page"]
    program = f"import sys, {', '.join('src.' + name for name in modules)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


@pytest.mark.slow
def test_a_terminal_without_unicode_gets_escapes_and_a_word_it_cannot_hold_a_sentence(tmp_path):
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0"}
    small = ["data=shapes", *(f"data.prepare.{key}" for key in ("train=30", "val=1", "height=64", "width=64"))]
    done = run("check", *small, cwd=tmp_path, **plain)
    assert "\\u2713 no problems found" in done.stdout
    done = run("check", "data.root=dätä", cwd=tmp_path, status=1, **plain)
    assert re.fullmatch(r"error: data.root=\S+: has characters that this locale lacks; set LC_ALL.*\n", done.stderr)
