"""What operators ask of a duchy and do to its computations, from outside its processes."""
