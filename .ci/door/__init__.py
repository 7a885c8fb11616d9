"""What stands behind setup.py: one module per concern, standard library only."""
