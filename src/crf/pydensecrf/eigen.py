"""pydensecrf's matrices: this module becomes `implementation.matrices`."""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .implementation.matrices import *  # noqa: F403

# The package may stand in `sys.modules` as `pydensecrf`, too, where relative imports would fail; it knows its own name.
sys.modules[__name__] = import_module(sys.modules[__name__.rpartition(".")[0]].__name__ + ".implementation.matrices")
