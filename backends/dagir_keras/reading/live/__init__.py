"""Keras's models in memory, and the calls of layers of users' own, traced."""
