"""Several pictures: one engine, whether they are named to a command or to `batch`, in one process or on workers."""
