"""What is said when memory runs out or a data worker is lost."""

import os
import signal

import pytest
import torch
from torch.utils.data import DataLoader

from src.core.errors import InputError
from src.core.memory import is_memory, memory_for_scoring


class Deadly(torch.utils.data.Dataset):
    """Its worker gets a signal."""

    def __init__(self, number):
        self.number = number

    def __len__(self):
        return 4

    def __getitem__(self, index):
        os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(
    ("number", "says"), [(signal.SIGKILL, "lost .Killed.*trainer.workers=1"), (signal.SIGBUS, "/dev/shm.*--shm-size")]
)
def test_a_data_worker_that_is_ended_is_a_sentence(number, says):
    with pytest.raises(InputError, match=says), memory_for_scoring():
        list(DataLoader(Deadly(number), num_workers=1))


def test_shared_memory_that_runs_out_in_a_worker_is_a_sentence():
    text = "unable to allocate shared memory(shm) for file </torch_1_2_3>: No space left on device (28)"
    with pytest.raises(InputError, match=r"/dev/shm.*--shm-size"), memory_for_scoring():
        raise RuntimeError(f"Caught RuntimeError in DataLoader worker process 0.\n{text}")


def test_errors_of_every_allocator_are_known():
    for error in (
        torch.OutOfMemoryError("x"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ):
        assert is_memory(error)
    assert not is_memory(ValueError("out of memory")) and not is_memory(RuntimeError("shapes differ"))
