"""memegen over HTTP: photos, previews, recipes and jobs for many clients of one process.

The extra `[serve]` brings what it needs; nothing outside this package imports it.
"""
