"""How good the parts are, measured on held-out faces."""
