"""What can be packaged: lists with features and annotations, timed text."""
