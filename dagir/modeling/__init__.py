"""Model, and what is done with one: training, extraction, subclassing, calls made again."""
