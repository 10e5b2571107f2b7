"""How requests reach an engine that speaks Docker's API."""
