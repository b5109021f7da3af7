"""Pages, styles and scripts that the library serves."""
