"""Conclusions: what was found, whether to believe it, what to try next; sentences that follow the numbers."""
