"""Every YAML composes and builds."""

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf, open_dict
from torchvision.models import get_model_weights

from src.core.names import CONF, declared
from src.core.values import as_dict, check_config
from src.crf.engines import ENGINES
from src.crf.model import CRFParameters
from src.data.sources.table import SOURCES, source_of
from src.data.transforms import PROTOCOLS, Augment
from src.evaluation import build
from src.evaluation.machine.hardware import detect
from src.models.tables import BACKBONES, HEADS, LOSSES, NETWORKS
from src.runs.checks import schema
from src.runs.checks.commands import ENGINES as CHECKED_ENGINES
from src.runs.checks.commands import check_train
from src.runs.checks.recipe import OPTIMIZERS, SCHEDULERS
from src.runs.checks.recipe import PROTOCOLS as CHECKED_PROTOCOLS
from src.scoring import presets
from src.training import recipe
from tests.conftest import CPU, config

GROUPS = sorted(path.relative_to(CONF).with_suffix("") for path in CONF.glob("*/*.yaml"))


@pytest.mark.parametrize("choice", GROUPS, ids=str)
def test_every_choice_composes_and_builds(choice):
    more = {
        "tuned": ["crf.tuned={guidance:raw,fusion:fill,options:{},ids:[]}"],
        "smp": ["backbone=timm"],
        "folder": ["data.classes=[a,b]", "data.val=20 %", "data.background=a"],
        **{key: ["variants=none"] for key in ("ade20k", "camvid", "cityscapes")},  # without a background
    }
    settled = config(f"{choice.parent}={choice.name}", *more.get(choice.name, []))
    for module in {"timm": ["timm"], "smp": ["timm", "segmentation_models_pytorch"]}.get(choice.name, []):
        pytest.importorskip(module, reason=f"needs {module}")
    check_train(settled)
    if choice.parent.name != "variants":
        assert settled[str(choice.parent)].name == (settled.backbone.model if choice.name == "timm" else choice.name)
    build.variants(settled)
    Augment(**as_dict(settled.recipe.augment), void=255)
    optimizer = recipe.optimizer(settled.recipe.optimizer)([{"params": [torch.nn.Parameter(torch.zeros(1))]}])
    recipe.scheduler(settled.recipe)(optimizer, 10)
    assert callable(source_of(settled.data))
    assert "none" in settled.variants


@pytest.mark.parametrize("root", ["train", "evaluate", "page", "tune", "report", "check"])
def test_every_command_composes_and_each_of_its_keys_has_a_kind(root):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose(root)
    with open_dict(composed):
        composed.plugins = {}
        if root == "report":
            del composed["plugins"]
    check_config(composed, getattr(schema, root.upper()))


def test_names_of_networks_and_weights_are_torchvisions():
    for kind, models in NETWORKS.items():
        for model, names in models.items():
            assert tuple(entry.name for entry in get_model_weights(model)) == names
            build = BACKBONES.bound({"kind": kind, "model": model, "native_output_stride": 8}, given=("output_stride",))
            with torch.device("meta"):
                assert build(output_stride=16).model == model


@pytest.mark.parametrize("head", ["deeplabv3", "deeplabv3plus"])
@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "dice", "combined"])
def test_a_task_trains_one_step_with_every_head_and_loss(head, loss):
    settled = config("backbone=resnet18", "backbone.weights=none", f"head={head}", f"loss={loss}", "recipe=demo")
    task, summary = recipe.task(settled, CPU, fingerprint={})
    batch = {"image": torch.randn(2, 3, 40, 56), "mask": torch.randint(0, 21, (2, 40, 56))}
    losses = task.loss(task(batch["image"]), batch["mask"])
    losses["loss"].backward()
    assert "none" in summary or "no pretrained" in summary
    assert all(p.grad is not None and p.grad.isfinite().all() for p in task.network.parameters())


def test_the_report_recipe_has_the_report_numbers():
    chosen = config("recipe=report2024").recipe
    assert (chosen.epochs, chosen.batch_size, chosen.optimizer.lr, chosen.augment.crop) == (20, 16, 1e-5, 224)
    assert (chosen.protocol, chosen.monitor) == ("squash224", "val/loss")


def test_names_checked_without_torch_are_those_that_exist():
    assert set(CHECKED_ENGINES) == set(ENGINES)
    assert set(CHECKED_PROTOCOLS) == set(PROTOCOLS)
    assert all(issubclass(getattr(torch.optim, name), torch.optim.Optimizer) for name in OPTIMIZERS)
    assert all(hasattr(torch.optim.lr_scheduler, name) for name in SCHEDULERS)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_schedule_can_be_made(name):
    chosen = OmegaConf.create({"monitor": "val/miou", "scheduler": {"name": name}})
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    recipe.scheduler(chosen)(optimizer, 4)


@pytest.mark.parametrize("table", [SOURCES, BACKBONES, HEADS, LOSSES], ids=lambda table: table.key)
def test_every_name_in_the_tree_has_a_file_and_every_file_a_name(table):
    built_in = [name for name in table.names if table[name].__module__ in table.homes]
    assert sorted(declared(table.group, table.field)) == sorted(built_in)


def test_presets_are_the_published_numbers():
    published = {"krahenbuhl2011": (5, 3, 3, 80, 13, 10), "deeplabv2": (10, 1, 3, 67, 3, 4)}
    for name, values in published.items():
        crf = config(f"crf={name}").crf
        assert presets.parameters(crf) == CRFParameters(*values, label_floor=0.01)


def test_new_layers_learn_faster_only_beside_pretrained_ones():
    settled = config("backbone=resnet18", "backbone.weights=none", "recipe.new_layers_lr_factor=10")
    task, _ = recipe.task(settled, CPU, fingerprint={})
    task.scheduler = None
    assert [group["lr"] for group in task.configure_optimizers().param_groups] == [5e-5]
    task.pretrained = frozenset(name for name, _ in task.network.named_parameters() if name.startswith("backbone."))
    assert [group["lr"] for group in task.configure_optimizers().param_groups] == pytest.approx([5e-5, 5e-4])


def test_what_the_user_says_goes_before_what_the_machine_suggests():
    said = (
        "accelerator=cpu",
        "precision=32-true",
        "channels_last=true",
        "workers=3",
        "cache=1.5",
        "devices=2",
        "nodes=3",
    )
    machine = detect(config(*(f"trainer.{word}" for word in said)).trainer)
    assert (machine.precision, machine.channels_last, machine.workers) == ("32-true", True, 3)
    assert (machine.devices, machine.nodes, machine.processes, machine.cache) == (2, 3, 6, 750_000_000)
