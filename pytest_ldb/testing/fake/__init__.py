"""An engine without containers, for tests."""
