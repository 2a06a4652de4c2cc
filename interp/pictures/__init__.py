"""Pictures: files and arrays to float NCHW RGB in [0, 1] and back; sizes; colour."""
