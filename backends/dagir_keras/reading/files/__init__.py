"""Keras's files, read as JSON and HDF5, without Keras."""
