"""The documentation: it builds, its links hold, and what it shows is so."""
