"""Whole runs of pytest in projects of their own, on the real engine."""
