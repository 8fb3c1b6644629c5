"""The campaign: its file, its state, its store, the engine that decides and the one loop that drives it."""
