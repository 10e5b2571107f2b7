"""The values that travel between the other packages."""
