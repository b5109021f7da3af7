"""Applications of ours that are measured, each a program of its own."""
