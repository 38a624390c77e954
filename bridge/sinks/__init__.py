"""Where reports go: one pump and one cursor each."""
