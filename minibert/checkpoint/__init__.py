"""A model's folder: found, read, saved, told apart."""
