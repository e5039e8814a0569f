"""The browser that opens the pages."""

from tests.browser import browser

__all__ = ["browser"]
