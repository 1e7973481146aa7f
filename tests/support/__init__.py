"""What several tests use: drawn faces, tiny networks, data sets, clips, and the command's runner."""
