"""Results of checks for people, scripts and CI systems."""
