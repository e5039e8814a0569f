"""What is wrong with a list, features, an annotation or a truth array."""
