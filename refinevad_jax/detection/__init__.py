"""From one video to scores, events and a page: what refinevad_jax.detect calls."""
