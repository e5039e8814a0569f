"""Files: written whole or not at all, arrays within limits, hashes."""
