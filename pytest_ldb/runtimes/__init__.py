"""Places where containers live."""
