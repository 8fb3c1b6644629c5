"""Figures: matplotlib `Axes` in and out. They draw what they are given and compute no science."""
