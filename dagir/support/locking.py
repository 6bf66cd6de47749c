"""What is made once, when it is first asked for, is made by one thread: weights, layers, names."""

from threading import RLock

making = RLock()
"""One lock for the process: making one thing may ask for another, and two locks could wait for each other."""
