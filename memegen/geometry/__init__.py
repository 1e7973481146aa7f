"""Face shape in numbers: anatomy, pose, motion, dense flow."""
