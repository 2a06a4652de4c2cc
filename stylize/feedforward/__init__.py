"""The instant way: one pass of a decoder instead of an optimisation."""
