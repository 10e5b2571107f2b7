"""What pytest sees: hooks, options, fixtures, reports."""
