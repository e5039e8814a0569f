"""Figures and pages made from evaluation results."""
