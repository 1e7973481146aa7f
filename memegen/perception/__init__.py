"""Understanding an aligned crop: landmarks, action units, pose."""
