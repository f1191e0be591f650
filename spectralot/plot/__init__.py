"""Figures: each function draws into the axes it is given and returns the artists."""

from .losses import plot_landscape, plot_loss_history, plot_transport
from .style import BLUE, CURVES, DASHES, GREEN, GREY, PALETTE, VERMILLION
from .tracks import (
    figure_of_tracks,
    plot_amplitudes,
    plot_confidence,
    plot_f0,
    plot_octaves,
    plot_spectrogram,
)
from .training import plot_convergence

__all__ = [
    "BLUE",
    "CURVES",
    "DASHES",
    "GREEN",
    "GREY",
    "PALETTE",
    "VERMILLION",
    "figure_of_tracks",
    "plot_amplitudes",
    "plot_confidence",
    "plot_convergence",
    "plot_f0",
    "plot_landscape",
    "plot_loss_history",
    "plot_octaves",
    "plot_spectrogram",
    "plot_transport",
]
