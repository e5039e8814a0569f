"""From released features, timed text and annotations to a dataset folder."""
