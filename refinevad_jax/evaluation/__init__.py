"""Scoring, metrics of the field, and the protocol they are computed under."""
