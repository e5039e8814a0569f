"""From pixels and sentences to features: video decoding, I3D, MiniLM, timed text."""
