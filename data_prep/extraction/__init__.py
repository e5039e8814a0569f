"""Many videos to feature files."""
