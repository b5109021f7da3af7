"""Actions of characters, in the order in which each character performs them."""
