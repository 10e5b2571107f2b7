"""How a test gets a database of its own."""
