"""Who executes a due probe. The native lane is the engine itself; the two lanes here run Python callables."""
