"""The checks of validate.py. Each function yields one text for each problem that it finds."""
