"""Plain values, an injected clock, and the fake runtime: nothing here needs an engine."""
