"""How a server is created, shared, kept and removed."""
