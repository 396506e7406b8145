"""The machine, and the best settings for it: devices, precision, memory format, data workers, cores, memory."""

import os
from dataclasses import dataclass
from typing import Any

import torch

from src.core.errors import InputError
from src.core.machine import free_memory, free_shared_memory, usable_cores

IMAGE = 4 * 2**20  # bytes of a whole image with its mask, for which a megapixel is taken


@dataclass(frozen=True)
class Hardware:
    """Choices that are made once at the start, and shown in one line.

    Attributes:
        accelerator: "cpu", "cuda" or "mps".
        precision: as Lightning's Trainer takes it.
        channels_last: memory format of network and images in training steps.
        devices: devices of this machine that share a training; each has one process.
        nodes: machines that share a training.
        workers: processes that load images, for each device.
        cores: processor cores for CRFs, for each device.
        cache: bytes of decoded images that may stay in memory, for each device.
        jobs: trainings that run on the machine at a time.
        note: why there are fewer workers than usual, for the line.
    """

    accelerator: str
    precision: str
    channels_last: bool
    devices: int
    nodes: int
    workers: int
    cores: int
    cache: int
    jobs: int = 1
    note: str = ""

    @property
    def processes(self) -> int:
        """Number of processes on all machines."""
        return self.devices * self.nodes

    @property
    def whole_channels_last(self) -> bool:
        """Memory format for whole images, which differ in size.

        On a GPU, cuDNN prepares itself for each new size. For depthwise convolutions in channels-last this took 1.4 to
        2.3 s a size on an H200, and 0.06 s in the usual format.
        """
        return self.channels_last and self.device != "cuda"

    @property
    def device(self) -> str:
        """The accelerator's name in torch."""
        return "cuda" if self.accelerator == "gpu" else self.accelerator

    def __str__(self) -> str:
        layout = "channels-last" if self.channels_last else "contiguous"
        several = (
            f"{self.nodes} x {self.devices} " if self.nodes > 1 else f"{self.devices} " if self.devices > 1 else ""
        )
        norm = "joined over the GPUs" if self.device == "cuda" else "separate in each process (SyncBN needs GPUs)"
        joined = f"; BatchNorm {norm}" if self.processes > 1 else ""
        return (
            f"{several}{self.accelerator}, {self.precision}, {layout}, {self.workers} data workers{self.note}{joined}"
        )


def detect(chosen: Any, *, jobs: int = 1, batch: int = 0) -> Hardware:
    """Replace "auto" and None by choices that fit the machine.

    bfloat16 autocast if the hardware computes in it (CUDA compute capability 8, AMX, AVX512-BF16); channels-last if
    autocast is on, because convolutions in reduced precision are faster with it.

    Args:
        chosen: the config group `trainer`.
        jobs: number of trainings that run at a time and share the memory.
        batch: bytes of the images and masks of a training step, over all devices; 0: nothing is trained.

    Raises:
        InputError: the config asks for a device that does not exist, or for more data workers than have room.
    """
    accelerator, precision = chosen.accelerator, chosen.precision
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    is_cuda = accelerator in ("cuda", "gpu")
    if is_cuda and not torch.cuda.is_available():
        raise InputError(
            f"trainer.accelerator={accelerator}: no CUDA device is visible; use trainer=auto or trainer=cpu."
        )
    if accelerator == "mps" and not torch.backends.mps.is_available():
        raise InputError("trainer.accelerator=mps: there is no such device here; use trainer=auto or trainer=cpu.")
    devices = _devices(chosen.devices, is_cuda=is_cuda)
    if precision == "16-mixed" and not is_cuda:
        raise InputError(f"trainer.precision=16-mixed: needs a CUDA device; on {accelerator} use auto or bf16-mixed.")
    if precision == "auto":
        precision = "bf16-mixed" if _has_bf16(accelerator) else "32-true"
    channels_last = precision != "32-true" if chosen.channels_last is None else bool(chosen.channels_last)
    cores = max(1, usable_cores() // devices)
    usual, each = min(8, cores) if is_cuda else min(2, cores - 1), batch // (devices * int(chosen.nodes))
    workers, note = _workers(chosen.workers, usual, sharing=devices * jobs, batch=each)
    cache = free_memory() // (3 * jobs) if chosen.cache == "auto" else int(float(chosen.cache) * 1e9)
    return Hardware(
        *(accelerator, precision, channels_last, devices, int(chosen.nodes), workers),
        cores=cores,
        cache=cache // devices,
        jobs=jobs,
        note=note,
    )


def _workers(chosen: int | None, usual: int, *, sharing: int, batch: int) -> tuple[int, str]:
    """Number of data workers for each device, and why they are fewer than usual.

    Workers hand over their images through /dev/shm, of which Docker gives 64 MB by default. If it is full, the system
    ends them. Each of them holds two batches that wait for a training step, and two images that wait for validation.

    Args:
        chosen: by the config; None: as many as usual, or as there is room for.
        usual: for this machine.
        sharing: processes that share /dev/shm.
        batch: bytes of the images and masks of a training step on one device.

    Raises:
        InputError: there is no room for the chosen number.
    """
    free = free_shared_memory()
    wanted = usual if chosen is None else chosen
    if free is None or wanted == 0:
        return wanted, ""
    each = 2 * (batch + IMAGE)
    room = max(0, free // sharing - batch) // each  # one batch more: the one that is trained on
    if wanted <= room:
        return wanted, ""
    told = f"/dev/shm has {free / 1e6:.0f} MB free, and each data worker needs {sharing * each / 1e6:.0f}"
    if chosen is None:
        return room, f" ({told}; in Docker, --shm-size=8g gives more)"
    raise InputError(f"trainer.workers={chosen}: {told}; use trainer.workers={room}, or in Docker --shm-size=8g.")


def _devices(chosen: Any, *, is_cuda: bool) -> int:
    """Number of devices on this machine; "auto": as many as torchrun has started processes, else all GPUs."""
    there = torch.cuda.device_count() if is_cuda else None
    if chosen == "auto":
        if (started := os.environ.get("LOCAL_WORLD_SIZE")) is not None:
            chosen = int(started)
        elif there is None:
            raise InputError("trainer.devices=auto: counts GPUs, but none is used; give a number: trainer.devices=2.")
        else:
            return there
    if there is not None and chosen > there:
        raise InputError(f"trainer.devices={chosen}: {there} CUDA devices are visible.")
    return int(chosen)


def _has_bf16(accelerator: str) -> bool:
    if accelerator in ("cuda", "gpu"):
        return torch.cuda.get_device_capability()[0] >= 8
    if accelerator != "cpu":
        return False
    features: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # missing before torch 2.10: float32
    return bool(features.get("amx_bf16") or features.get("avx512_bf16"))
