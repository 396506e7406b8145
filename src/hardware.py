"""What the machine is good at: precision, memory format, data workers, cores."""

from dataclasses import dataclass
from typing import Any

import torch

from src.cores import usable_cores
from src.errors import InputError


@dataclass(frozen=True)
class Hardware:
    """Choices made once at start and said in one line.

    Attributes:
        accelerator: "cpu", "cuda" or "mps".
        precision: as Lightning's Trainer takes it.
        channels_last: memory format of network and images.
        workers: processes that load training images.
        cores: for CRFs.
    """

    accelerator: str
    precision: str
    channels_last: bool
    workers: int
    cores: int

    @property
    def device(self) -> str:
        """The accelerator as torch names it."""
        return "cuda" if self.accelerator == "gpu" else self.accelerator

    def __str__(self) -> str:
        layout = "channels-last" if self.channels_last else "contiguous"
        return f"{self.accelerator}, {self.precision}, {layout}, {self.workers} data workers"


def detect(*, accelerator: str, precision: str, channels_last: bool | None, workers: int | None) -> Hardware:
    """Fill in what is left to the machine: "auto" or None.

    bfloat16 autocast where the arithmetic exists (CUDA compute capability 8, AMX, AVX512-BF16); channels-last wherever
    autocast is on, since the reduced-precision convolutions want it.
    """
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if accelerator in ("cuda", "gpu") and not torch.cuda.is_available():
        raise InputError(
            f"trainer.accelerator={accelerator}: no CUDA device is visible; use trainer=auto or trainer=cpu."
        )
    if precision == "auto":
        precision = "bf16-mixed" if _has_bf16(accelerator) else "32-true"
    if channels_last is None:
        channels_last = precision != "32-true"
    cores = usable_cores()
    if workers is None:
        workers = min(8, cores) if accelerator in ("cuda", "gpu") else min(2, cores - 1)
    return Hardware(accelerator, precision, channels_last, workers, cores=cores)


def _has_bf16(accelerator: str) -> bool:
    if accelerator in ("cuda", "gpu"):
        return torch.cuda.get_device_capability()[0] >= 8
    if accelerator != "cpu":
        return False
    features: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # not there before torch 2.10: fp32
    return bool(features.get("amx_bf16") or features.get("avx512_bf16"))
