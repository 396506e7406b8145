"""How many data workers there is room for."""

import pytest

from src.core.errors import InputError
from src.evaluation.machine import hardware
from tests.conftest import config

MB = 2**20
STEP = 16 * 513 * 513 * 4  # bytes of the default batch, about 16 MB


@pytest.fixture
def docker(monkeypatch):
    """Docker's default, on a machine with many cores."""
    monkeypatch.setattr(hardware, "free_shared_memory", lambda: 64 * MB)
    monkeypatch.setattr(hardware, "usable_cores", lambda: 8)


def detect(*words, batch=STEP, jobs=1):
    return hardware.detect(config(*words).trainer, batch=batch, jobs=jobs)


@pytest.mark.parametrize(
    ("words", "options", "workers"),
    [((), {}, 1), ((), {"batch": 2 * STEP}, 0), ((), {"jobs": 2}, 0), ((), {"batch": 0}, 2)],
)
def test_fewer_workers_start_where_shared_memory_is_small(docker, words, options, workers):
    machine = detect("trainer.accelerator=cpu", *words, **options)
    assert machine.workers == workers
    assert ("/dev/shm has 67 MB free" in str(machine) and "--shm-size" in str(machine)) == (workers < 2)


def test_workers_that_were_asked_for_and_have_no_room_are_refused(docker):
    with pytest.raises(InputError, match=r"trainer.workers=4: /dev/shm has 67 MB free, .*use trainer.workers=1, or"):
        detect("trainer.accelerator=cpu", "trainer.workers=4")
    assert detect("trainer.accelerator=cpu", "trainer.workers=0").workers == 0


@pytest.mark.parametrize("free", [None, 10**10])
def test_without_a_limit_the_usual_number_starts(docker, monkeypatch, free):
    monkeypatch.setattr(hardware, "free_shared_memory", lambda: free)
    machine = detect("trainer.accelerator=cpu")
    assert machine.workers == 2 and "shm" not in str(machine)
    assert detect("trainer.accelerator=cpu", "trainer.workers=5").workers == 5
