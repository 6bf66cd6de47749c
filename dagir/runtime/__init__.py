"""From a model to arrays: backends, feeds, guards, and the doors to other frameworks."""
