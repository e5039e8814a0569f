"""Several live cameras at once: their segments, events and who is told of them."""
