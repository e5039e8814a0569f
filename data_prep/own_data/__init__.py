"""From a folder of clips to a detector: which videos, which split, which commands."""
