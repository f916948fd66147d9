"""Tests of the workflows as GitHub would run them, and of the image."""
