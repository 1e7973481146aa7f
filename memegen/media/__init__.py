"""Files for people: GIF, MP4, WebP, APNG, stills."""
