"""Models and scenes for the tests of what uses the dense CRF; they are those of the library's own tests."""

from src.crf.tests.conftest import model, reference, scene

__all__ = ["model", "reference", "scene"]
