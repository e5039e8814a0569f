"""Rendered clips with exact truth."""
