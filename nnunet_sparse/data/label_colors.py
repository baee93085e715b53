"""Colours of labels, in all pictures.

The first seven are those of Okabe and Ito, which stay apart for colour-blind readers.
"""

_OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
# for data sets with more labels
_MORE_COLORS = (
    "#8C564B",
    "#17BECF",
    "#9467BD",
    "#BCBD22",
    "#E377C2",
    "#1B3A93",
    "#98DF8A",
    "#FF9896",
    "#5B5B00",
    "#C5B0D5",
    "#005F5F",
)


def label_color(value: int) -> str:
    """Colour of a label (from 1 on) as ``#RRGGBB``; they come again after the last one."""
    colors = _OKABE_ITO + _MORE_COLORS
    return colors[(value - 1) % len(colors)]
