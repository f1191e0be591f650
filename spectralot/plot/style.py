"""Colours, those of Okabe and Ito, which any colour vision tells apart, and grey."""

BLUE, VERMILLION, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"
CURVES = (BLUE, VERMILLION, GREEN, GREY, "#E69F00", "#56B4E9", "#CC79A7", "#000000")
PALETTE = ("#000000", "#E69F00", "#56B4E9", GREEN, BLUE, VERMILLION, "#CC79A7", GREY)
DASHES = ("-", "--", ":", "-.")
