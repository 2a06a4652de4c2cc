"""Attribution: which pixels speak for an output, and whether to believe it."""
