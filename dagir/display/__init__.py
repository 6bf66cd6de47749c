"""How a model is shown: tables, pictures, DOT."""
