"""What a machine is taken to have."""

import pytest

from src.core import machine
from src.core.machine import _cores_of_control_groups, _left_by_control_groups


@pytest.mark.parametrize("version", [1, 2])
def test_memory_is_what_the_tightest_group_around_this_process_leaves(tmp_path, version):
    root, own = tmp_path / "groups", tmp_path / "own"
    own.write_text("4:memory:/job/step\n3:cpu:/\n" if version == 1 else "0::/job/step\n")
    limit, used = {1: ("limit_in_bytes", "usage_in_bytes"), 2: ("max", "current")}[version]
    step = (root / "memory" if version == 1 else root) / "job" / "step"
    step.mkdir(parents=True)
    for folder, most, taken in ((step, 900, 300), (step.parent, 500, 400)):
        (folder / f"memory.{limit}").write_text(f"{most}\n")
        (folder / f"memory.{used}").write_text(f"{taken}\n")
        cached = {1: "inactive_file 1\ntotal_inactive_file 50", 2: "inactive_file 50"}[version]
        (folder / "memory.stat").write_text(f"anon 7\n{cached}\n")
    assert list(_left_by_control_groups(root, own)) == [650, 150]


@pytest.mark.parametrize("version", [1, 2])
def test_cores_are_those_of_every_group_around_this_process(tmp_path, version):
    root, own = tmp_path / "groups", tmp_path / "own"
    own.write_text("4:cpu,cpuacct:/job/step\n3:memory:/\n" if version == 1 else "0::/job/step\n")
    step = (root / "cpu" if version == 1 else root) / "job" / "step"
    step.mkdir(parents=True)
    for folder, quota in ((step, 250_000), (step.parent, 100_001), (step.parent.parent, None)):
        if version == 1:
            (folder / "cpu.cfs_quota_us").write_text(f"{-1 if quota is None else quota}\n")
            (folder / "cpu.cfs_period_us").write_text("100000\n")
        else:
            (folder / "cpu.max").write_text(f"{'max' if quota is None else quota} 100000\n")
    assert list(_cores_of_control_groups(root, own)) == [3, 2]


def test_a_limit_of_a_part_of_a_core_leaves_one(monkeypatch):
    monkeypatch.setattr(machine, "_cores_of_control_groups", lambda: [1])
    assert machine.usable_cores() == 1
    monkeypatch.setattr(machine, "_cores_of_control_groups", lambda: [10**6])
    assert machine.usable_cores() <= 10**5
