"""Unit tests with plain values, injected clocks and the fake engine."""
