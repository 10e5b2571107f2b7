"""Plain values, an injected clock, and the fake engine: nothing here needs an engine."""
