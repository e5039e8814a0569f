"""What is known of the field's data sets, one file each; `lookup` answers questions over all."""
