"""What people would write instead, for the same raw rows and the same tables."""
