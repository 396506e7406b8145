"""The examples of the README run as they stand, under the name that the library has here."""

import re
import sys
from pathlib import Path

import pytest

from .conftest import LIBRARY

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.skipif(not README.exists(), reason="an installed package has no README")
def test_the_examples_run(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    examples = re.findall(r"^```python\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(examples) == 3
    for example in examples:
        names = {}
        exec(example.replace("permutocrf", LIBRARY), names)
    assert names["labels"].shape == (60, 80) and names["q"].shape == (21, 60, 80)
    assert sys.modules["pydensecrf"] is sys.modules[f"{LIBRARY}.pydensecrf"]


def test_the_package_brings_nothing_in_before_it_is_used():
    library = sys.modules[LIBRARY]
    assert set(library.__all__) <= set(dir(library))
    for name in library.__all__:
        assert getattr(library, name).__doc__
    with pytest.raises(AttributeError, match="no attribute nonsense"):
        library.nonsense  # noqa: B018
