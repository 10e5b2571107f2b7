"""Small tools that know nothing of databases."""
