"""The pytest plugin: hooks, options, fixtures and reports."""
