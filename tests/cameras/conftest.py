"""The browser that opens the page."""

from tests.browser import browser

__all__ = ["browser"]
