"""What the documentation takes out of the code: ``make reference`` writes it, tests hold it."""
