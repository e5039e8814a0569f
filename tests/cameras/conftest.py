"""A browser, and the detector and encoder of tests/detection."""

from tests.browser import browser
from tests.detection.conftest import detector, encoder

__all__ = ["browser", "detector", "encoder"]
