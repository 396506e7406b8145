"""Dense conditional random fields: exact mean field on the permutohedral lattice, with NumPy and Numba alone.

`DenseCRF`, its terms `Gaussian`, `Bilateral` and `Features`, `run` for several models at once, and `PRESETS` are
imported when they are first used; `pydensecrf.densecrf` and `pydensecrf.utils` hold the interface of pydensecrf.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import CRFError as CRFError
    from .terms.densecrf import DenseCRF as DenseCRF
    from .terms.densecrf import run as run
    from .terms.kernels import Bilateral as Bilateral
    from .terms.kernels import Features as Features
    from .terms.kernels import Gaussian as Gaussian
    from .terms.presets import PRESETS as PRESETS

__version__ = "0.1.0"

_HOMES = {
    "DenseCRF": ".terms.densecrf",
    "run": ".terms.densecrf",
    "Gaussian": ".terms.kernels",
    "Bilateral": ".terms.kernels",
    "Features": ".terms.kernels",
    "PRESETS": ".terms.presets",
    "CRFError": ".errors",
}
__all__ = ["PRESETS", "Bilateral", "CRFError", "DenseCRF", "Features", "Gaussian", "run"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name], __name__), name)
    raise AttributeError(f"module {__name__} has no attribute {name}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
