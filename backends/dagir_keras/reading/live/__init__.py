"""Reads Keras models in memory; the calls of layers that users wrote are traced."""
