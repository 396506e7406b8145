"""From probabilities to counts and scores."""
