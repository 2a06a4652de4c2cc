"""Make the decoder of the instant way: photos restyled after paintings of our own, judged by the optimiser's loss."""
