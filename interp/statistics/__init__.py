"""Style statistics: Gram matrices, regions on a layer's grid, evidence for layers."""
