"""Mutated files for every reader: what they grow from, how they are changed, what is made of them."""
