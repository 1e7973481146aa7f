"""Making the weights: data, losses, loops."""
