"""Pages, styles and scripts of the portal."""
