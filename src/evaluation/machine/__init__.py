"""The machine that a network works on, and Lightning's Trainer for it."""
