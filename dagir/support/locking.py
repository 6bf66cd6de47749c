"""A lock for objects that are made once, at their first use: weights, layers, names."""

from threading import RLock

making = RLock()
"""One lock for the process: making one thing may ask for another, and two locks could wait for each other."""
