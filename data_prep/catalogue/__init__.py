"""What is known of the field's data sets: lists, features, length rules, truths."""
