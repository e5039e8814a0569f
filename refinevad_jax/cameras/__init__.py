"""Several live cameras: what refinevad_jax.watch calls."""
