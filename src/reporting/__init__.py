"""Readers of run folders: tables and pictures. Imports nothing of training."""
