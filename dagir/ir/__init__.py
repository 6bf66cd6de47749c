"""The graph, and what any compiler has around one: types, sizes, names, text, checks, rewriting."""
