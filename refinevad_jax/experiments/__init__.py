"""Grids of runs: many configurations, several seeds each, one table."""
