"""A browser, and the detector and encoder of tests/detection."""

import copy
import functools

import pytest

from refinevad_jax.detection.detector import Detector
from tests.browser import browser
from tests.detection.conftest import detector as detector_of_detection
from tests.detection.conftest import encoder

__all__ = ["browser", "detector_of_detection", "encoder"]


@pytest.fixture(scope="session")
def detector(detector_of_detection: Detector) -> Detector:
    """Compiles each network for streams once."""
    found = copy.copy(detector_of_detection)
    found.causal = functools.cache(found.causal)
    return found
